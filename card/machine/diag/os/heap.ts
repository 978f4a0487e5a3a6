/**
 * Memory of the diagnostic OS that devices may reach: first fit over a sorted list of free pieces.
 *
 * Few and long-lived allocations, so a list is enough; the request path allocates nothing.
 *
 * @module
 */

/** A span of card memory: byte offset, bytes. */
export interface Block {
  readonly address: number;
  readonly length: number;
}

export class OutOfMemory extends Error {
  override readonly name = "OutOfMemory";
}

export class Heap {
  readonly #memory: Uint8Array;
  /** Sorted by address; no two touch. */
  #free: Block[];

  /** Manages `memory` from byte `start` to its end. */
  constructor(memory: Uint8Array, start: number) {
    this.#memory = memory;
    this.#free = [{ address: start, length: memory.length - start }];
  }

  /** Bytes free, in pieces. */
  get available(): number {
    return this.#free.reduce((sum, { length }) => sum + length, 0);
  }

  /** The bytes at a place in memory. */
  bytes(address: number, length: number): Uint8Array {
    return this.#memory.subarray(address, address + length);
  }

  /** `length` bytes of zeros; `align` is a power of two. @throws {OutOfMemory} */
  allocate(length: number, align = 16): Block {
    for (const [i, piece] of this.#free.entries()) {
      const address = Math.ceil(piece.address / align) * align;
      const end = address + length;
      const pieceEnd = piece.address + piece.length;
      if (end > pieceEnd) continue;
      const rest: Block[] = [];
      if (address > piece.address) {
        rest.push({ address: piece.address, length: address - piece.address });
      }
      if (end < pieceEnd) rest.push({ address: end, length: pieceEnd - end });
      this.#free.splice(i, 1, ...rest);
      this.#memory.fill(0, address, end);
      return { address, length };
    }
    throw new OutOfMemory(`Cannot allocate ${length} bytes: ${this.available} free in pieces`);
  }

  /** Gives back a block, all of it; no device may still use it. */
  release(block: Block): void {
    let { address, length } = block;
    const rest = this.#free.filter((piece) => {
      if (piece.address + piece.length === address) {
        address = piece.address;
        length += piece.length;
        return false;
      }
      if (address + length === piece.address) {
        length += piece.length;
        return false;
      }
      return true;
    });
    rest.push({ address, length });
    this.#free = rest.sort((a, b) => a.address - b.address);
  }
}
