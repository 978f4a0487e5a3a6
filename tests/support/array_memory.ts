/**
 * Card memory made of one array, which remembers what it was told of writes.
 *
 * @module
 */
import type { CardMemory } from "../../card/machine/types.ts";

export class ArrayMemory implements CardMemory {
  readonly size: number;
  /** Start and end of each announced write. */
  readonly announced: [number, number][] = [];
  readonly #bytes: Uint8Array;

  constructor(size: number) {
    this.size = size;
    this.#bytes = new Uint8Array(size);
  }

  bytes(): Uint8Array {
    return this.#bytes;
  }

  view(): DataView {
    return new DataView(this.#bytes.buffer);
  }

  written(start: number, end: number): void {
    this.announced.push([start, end]);
  }
}
