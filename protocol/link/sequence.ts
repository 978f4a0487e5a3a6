/**
 * 32-bit counters that wrap: frame sequence numbers and credit counters. The only place that compares them.
 *
 * @module
 */

/**
 * What both sides have "received" before the first frame. A session starts 256 frames before the wrap, as Linux starts
 * its jiffies, so that no implementation lives long with a plain `<`.
 */
export const INITIAL_SEQUENCE = 0xffff_feff;

/** `count` steps on, modulo 2^32. */
export const advance = (value: number, count: number): number => (value + count) >>> 0;

/** How far `a` is ahead of `b`, modulo 2^32: negative if it is behind. Both must lie within 2^31 of each other. */
export const ahead = (a: number, b: number): number => (a - b) | 0;
