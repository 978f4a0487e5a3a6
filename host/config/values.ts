/**
 * Texts of the configuration file that mean a value: durations, and who a card is.
 *
 * @module
 */
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** A timer has 31 bits of ms. */
const LONGEST = 2 ** 31 - 1;

const DURATION = /^(\d{1,10})(ms|s|m|h)$/;

/** ms. @throws {RangeError} */
export function parseDuration(text: string): number {
  const [, digits, unit] = DURATION.exec(text) ?? [];
  const value = Number(digits) * UNITS[unit ?? ""]!;
  if (value > 0 && value <= LONGEST) return value;
  throw new RangeError(
    `Cannot use duration "${text}": wanted a number with ms, s, m or h, as in 30s, up to 596h`,
  );
}

/** 32 digits, as a card's identity is told, or the 64 of its certificate's fingerprint, which begin with them. */
export const IDENTITY = /^[0-9a-f]{32}(?:[0-9a-f]{32})?$/;

export const shortened = (identity: string): string => identity.slice(0, 32);

/** @throws {RangeError} unless it is an IPv4 address with the length of its network's prefix */
export function parseNetwork(text: string): { readonly address: string; readonly prefix: number } {
  const match = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/.exec(text);
  const [, address, prefix] = match ?? [];
  const valid = address?.split(".").every((part) => Number(part) <= 255);
  if (valid && Number(prefix) >= 1 && Number(prefix) <= 30) {
    return { address: address!, prefix: Number(prefix) };
  }
  throw new RangeError(`Cannot use "${text}": wanted ADDRESS/PREFIX, as in 172.31.0.254/24`);
}
