/**
 * A small disk whose contents are known, for tests of the block device.
 *
 * @module
 */
import { MemoryBackend } from "../../host/backends/memory.ts";

/** Sectors of the disk. */
export const SECTORS = 64;

/** A disk whose byte i of sector s is s + i. */
export function disk(
  options?: { readonly name?: string; readonly readOnly?: boolean },
): MemoryBackend {
  const bytes = Uint8Array.from({ length: SECTORS * 512 }, (_, i) => (i >> 9) + i);
  return new MemoryBackend(bytes, options);
}

/** `length` bytes of 0xa5: data that is not the disk's own. */
export function pattern(length: number): Uint8Array {
  return new Uint8Array(length).fill(0xa5);
}
