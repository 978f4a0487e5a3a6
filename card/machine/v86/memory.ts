/**
 * Card memory on v86: a stretch of the emulator's WebAssembly memory.
 *
 * That memory grows while the card OS runs, and growing detaches every view on it; views are made anew whenever its
 * buffer has changed, which costs one comparison otherwise.
 *
 * @module
 */
import type { CardMemory } from "../types.ts";
import type { Cpu } from "./v86_types.ts";

const LEFTOVERS = 0x10_0000;

export class V86Memory implements CardMemory {
  readonly size: number;
  readonly #cpu: Cpu;
  readonly #offset: number;
  #bytes: Uint8Array;
  #view: DataView;

  /** The memory of a new CPU, as zeros. */
  constructor(cpu: Cpu) {
    this.#cpu = cpu;
    this.#offset = cpu.mem8.byteOffset;
    this.size = cpu.memory_size[0]!;
    this.#bytes = new Uint8Array(cpu.wasm_memory.buffer, this.#offset, this.size);
    this.#view = new DataView(cpu.wasm_memory.buffer, this.#offset, this.size);
    // What the emulator allocated and freed while it started left its traces there; behind, memory is fresh.
    this.#bytes.fill(0, 0, Math.min(LEFTOVERS, this.size));
  }

  bytes(): Uint8Array {
    this.#refresh();
    return this.#bytes;
  }

  view(): DataView {
    this.#refresh();
    return this.#view;
  }

  /** @throws {RangeError} if the bytes are not all in memory */
  written(start: number, end: number): void {
    if (!(start >= 0 && start <= end && end <= this.size)) {
      throw new RangeError(
        `Cannot mark ${start} to ${end} as written: memory has ${this.size} bytes`,
      );
    }
    // The emulator takes an empty range for a very long one.
    if (start < end) this.#cpu.jit_dirty_cache(start, end);
  }

  #refresh(): void {
    const buffer = this.#cpu.wasm_memory.buffer;
    if (this.#bytes.buffer === buffer) return;
    this.#bytes = new Uint8Array(buffer, this.#offset, this.size);
    this.#view = new DataView(buffer, this.#offset, this.size);
  }
}
