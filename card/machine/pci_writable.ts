/**
 * What software may write of a function's configuration space (PCI Local Bus 3.0 §6.2): all else keeps its value.
 *
 * @module
 */
import {
  barMask,
  le32,
  PCI_CONFIG_SIZE,
  TYPE0_HEADER,
  TYPE0_WRITABLE,
  u8,
  viewOf,
} from "../../protocol/mod.ts";
import type { PciFunction } from "./types.ts";

/** Writable bits of each byte of configuration space: the header's, and the function's own. */
export function writableBits({ barSize, pciWritable }: PciFunction): Uint8Array {
  const mask = new Uint8Array(PCI_CONFIG_SIZE);
  if (pciWritable !== undefined) mask.set(pciWritable);
  const view = viewOf(mask);
  const at = TYPE0_HEADER.at;
  u8.set(view, at.command, TYPE0_WRITABLE.command & 0xff);
  u8.set(view, at.command + 1, TYPE0_WRITABLE.command >> 8);
  u8.set(view, at.cache_line_size, TYPE0_WRITABLE.cache_line_size);
  u8.set(view, at.interrupt_line, TYPE0_WRITABLE.interrupt_line);
  const bar = { index: 0, kind: "io", prefetchable: false, size: barSize } as const;
  le32.set(view, at.bar0, barMask(bar).low);
  return mask;
}

/** Writes `width` bytes of `value` at `at` of configuration space, as far as `mask` lets it. */
export function writeMasked(
  config: Uint8Array,
  mask: Uint8Array,
  at: number,
  width: number,
  value: number,
): void {
  for (let i = 0; i < width && at + i < PCI_CONFIG_SIZE; i++) {
    const bits = mask[at + i]!;
    config[at + i] = (config[at + i]! & ~bits) | ((value >>> (8 * i)) & bits);
  }
}
