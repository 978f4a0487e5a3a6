/**
 * Base address registers: what one reads as, and how its size is found.
 *
 * Software writes all ones and reads back: the address bits that stay 0 say the size, the low bits the kind. The card
 * answers with {@linkcode barMask} and {@linkcode barFlags}, the host understands with {@linkcode sizedBar}.
 *
 * - **Spec:** PCI Local Bus 3.0 §6.2.5.
 * - **Invariant:** sizes are powers of two, addresses are multiples of the size and below 2^52.
 *
 * @module
 */
import { ProtocolError } from "../errors.ts";

const FLAG_IO = 0x1;
const FLAG_64 = 0x4;
const FLAG_PREFETCHABLE = 0x8;
const MEMORY_FLAGS = 0xf;
const IO_FLAGS = 0x3;
const DWORD = 0x1_0000_0000;

/** A range of addresses a function claims. `memory64` takes two registers, `index` and the next. */
export interface Bar {
  readonly index: number;
  readonly kind: "memory32" | "memory64" | "io";
  readonly prefetchable: boolean;
  /** Bytes, a power of two. */
  readonly size: number;
}

/** The read-only low bits of the (first) register. */
export function barFlags(bar: Bar): number {
  if (bar.kind === "io") return FLAG_IO;
  return (bar.kind === "memory64" ? FLAG_64 : 0) | (bar.prefetchable ? FLAG_PREFETCHABLE : 0);
}

/** The writable address bits of the register, and of the next one for a 64-bit BAR. */
export function barMask(bar: Bar): { readonly low: number; readonly high: number } {
  const flags = bar.kind === "io" ? IO_FLAGS : MEMORY_FLAGS;
  const low = bar.size < DWORD ? (~(bar.size - 1) & ~flags) >>> 0 : 0;
  const high = bar.size < DWORD ? DWORD - 1 : DWORD - bar.size / DWORD;
  return { low, high: bar.kind === "memory64" ? high : 0 };
}

/** The bus address in a register pair; `high` is of meaning for a 64-bit BAR only. */
export function barAddress(kind: Bar["kind"], low: number, high = 0): number {
  if (kind === "io") return (low & ~IO_FLAGS) >>> 0;
  return ((low & ~MEMORY_FLAGS) >>> 0) + (kind === "memory64" ? high * DWORD : 0);
}

/** Kind of the BAR whose register reads as `low`. @throws {ProtocolError} for the reserved and the 1 MiB kind */
export function barKind(low: number): Bar["kind"] {
  if (low & FLAG_IO) return "io";
  const type = low & 0x6;
  if (type === 0) return "memory32";
  if (type === FLAG_64) return "memory64";
  throw new ProtocolError(
    "malformed",
    `Cannot decode BAR ${low.toString(16)}: memory type ${type}`,
  );
}

/**
 * What BAR `index` is, from what its register (and the next, for a 64-bit one) read as after all ones were written.
 * Undefined: there is no such BAR.
 * @throws {ProtocolError} if the card answered with what no BAR reads as
 */
export function sizedBar(index: number, low: number, high = 0): Bar | undefined {
  if (low === 0) return undefined;
  const kind = barKind(low);
  const address = (low & (kind === "io" ? ~IO_FLAGS : ~MEMORY_FLAGS)) >>> 0;
  // An I/O BAR may hardwire its upper 16 bits to 0 (§6.2.5.1).
  const lowMask = kind === "io" && address >>> 16 === 0 ? (address | 0xffff_0000) >>> 0 : address;
  const highMask = kind === "memory64" ? high : DWORD - 1;
  const size = lowMask !== 0 ? lowestBit(lowMask) : lowestBit(highMask) * DWORD;
  const contiguous = lowMask !== 0
    ? lowMask === DWORD - size && highMask === DWORD - 1
    : highMask === DWORD - size / DWORD;
  if (size === 0 || address === 0 && kind !== "memory64" || !contiguous) {
    throw new ProtocolError("malformed", `Cannot size BAR ${index}: ${hex(high)} ${hex(low)} read`);
  }
  return { index, kind, prefetchable: kind !== "io" && (low & FLAG_PREFETCHABLE) !== 0, size };
}

const lowestBit = (bits: number): number => (bits & -bits) >>> 0;
const hex = (value: number): string => value.toString(16).padStart(8, "0");
