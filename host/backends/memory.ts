/**
 * A disk in memory: for tests, benchmarks and the diag OS. Its contents end with the process.
 *
 * @module
 */
import { BackendError, virtioBlock } from "../../protocol/mod.ts";
import { growthError } from "./_growth.ts";
import type { BlockBackend } from "./types.ts";

const { SECTOR_SIZE } = virtioBlock;

export class MemoryBackend implements BlockBackend {
  readonly name: string;
  sectors: number;
  readonly readOnly: boolean;
  readonly blockSize: number = SECTOR_SIZE;
  readonly synchronous = true;
  /** The contents, for the owner to fill and to look at; other memory after `resize`. */
  bytes: Uint8Array;

  /** @throws {RangeError} if `bytes` are not whole sectors */
  constructor(
    bytes: Uint8Array,
    { name = "memory", readOnly = false }: { readonly name?: string; readonly readOnly?: boolean } =
      {},
  ) {
    if (bytes.length === 0 || bytes.length % SECTOR_SIZE !== 0) {
      throw new RangeError(`Cannot make a disk of ${bytes.length} bytes: wanted whole sectors`);
    }
    this.name = name;
    this.bytes = bytes;
    this.sectors = bytes.length / SECTOR_SIZE;
    this.readOnly = readOnly;
  }

  read(sector: number, into: Uint8Array, _signal: AbortSignal): void {
    const at = sector * SECTOR_SIZE;
    into.set(this.bytes.subarray(at, at + into.length));
  }

  write(sector: number, from: Uint8Array, _signal: AbortSignal): void {
    this.bytes.set(from, sector * SECTOR_SIZE);
  }

  /** Memory is as stable as this disk gets. */
  flush(_signal: AbortSignal): Promise<void> {
    return Promise.resolve();
  }

  discard(sector: number, count: number, signal: AbortSignal): void {
    this.writeZeroes(sector, count, true, signal);
  }

  writeZeroes(sector: number, count: number, _unmap: boolean, _signal: AbortSignal): void {
    this.bytes.fill(0, sector * SECTOR_SIZE, (sector + count) * SECTOR_SIZE);
  }

  resize(sectors: number): void {
    const why = growthError(sectors, this.sectors);
    if (why !== undefined) throw new BackendError(`Cannot resize ${this.name}: ${why}`);
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(sectors * SECTOR_SIZE);
    } catch (cause) {
      const message = `Cannot resize ${this.name}: this process cannot have so much memory`;
      throw new BackendError(message, { cause });
    }
    bytes.set(this.bytes);
    this.bytes = bytes;
    this.sectors = sectors;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
