/**
 * What a command of the diagnostic shell is, and the small parsers that they share.
 *
 * @module
 */
import type { DiagOs } from "../os.ts";

/** Where a command runs: its outputs, and the signal that ends it (Ctrl-C, shutdown). */
export interface CommandIo {
  /** Resolves when the reader has room again. */
  out(data: string | Uint8Array): Promise<void>;
  err(data: string): Promise<void>;
  readonly signal: AbortSignal;
  /** Of the terminal; 0 where there is none. */
  readonly columns: number;
  readonly rows: number;
}

export interface Command {
  /** Arguments, as the help shows them. */
  readonly usage: string;
  readonly summary: string;
  /** Exit status. @throws {UsageError} for wrong arguments; any Error is printed, and is status 1 */
  run(args: readonly string[], io: CommandIo, os: DiagOs): Promise<number> | number;
}

export class UsageError extends Error {
  override readonly name = "UsageError";
}

const SUFFIX: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** `4k`, `1M`, `512`: bytes, or whatever is counted. @throws {UsageError} */
export function parseSize(text: string): number {
  const match = /^(\d+)([kmg]?)$/i.exec(text);
  const value = match ? Number(match[1]) * SUFFIX[match[2]!.toLowerCase()]! : NaN;
  if (!Number.isSafeInteger(value)) {
    throw new UsageError(`Cannot read size '${text}': wanted a number with k, M or G`);
  }
  return value;
}

/** `name=value` words by name; only names of `known`. @throws {UsageError} for any other word */
export function parsePairs<K extends string>(
  words: readonly string[],
  known: readonly K[],
): Partial<Record<K, string>> {
  const pairs: Partial<Record<K, string>> = {};
  for (const word of words) {
    const equals = word.indexOf("=");
    const name = known.find((name) => name === word.slice(0, equals));
    if (equals < 0 || name === undefined) {
      throw new UsageError(`Cannot use '${word}': wanted ${known.map((n) => n + "=").join(" ")}`);
    }
    pairs[name] = word.slice(equals + 1);
  }
  return pairs;
}

/** 1536 as `1.5K`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  for (const unit of ["B", "K", "M", "G", "T"]) {
    if (value < 1024 || unit === "T") return `${Number(value.toFixed(1))}${unit}`;
    value /= 1024;
  }
  throw new RangeError(`Cannot format ${bytes}`);
}
