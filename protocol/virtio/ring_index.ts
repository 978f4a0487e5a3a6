/**
 * Arithmetic modulo 2^16: the only place where ring indices are compared or moved (virtio 1.3 §2.7.6 to §2.7.10).
 *
 * @module
 */

/** The index `count` entries after `index` (before it, for a negative count). */
export const advance = (index: number, count = 1): number => (index + count) & 0xffff;

/** How many entries `to` is ahead of `from`: 0 to 65535. */
export const distance = (from: number, to: number): number => (to - from) & 0xffff;

/**
 * Whether moving an index from `old` to `now` put in the entry that the other side waits for: `vring_need_event`
 * (§2.7.7.2, §2.7.10). True once for each `event`.
 */
export const crossed = (event: number, old: number, now: number): boolean =>
  distance(event + 1, now) < distance(old, now);

/**
 * Whether `now` is past `event`, by at most half the circle. Unlike {@linkcode crossed} it stays true for every later
 * index until the other side moves `event`.
 */
export const past = (event: number, now: number): boolean => {
  const ahead = distance(event, now);
  return ahead > 0 && ahead < 0x8000;
};
