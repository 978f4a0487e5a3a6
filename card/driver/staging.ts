/**
 * Allocates a queue's staging area: each chain record is one piece of it, until its chain was used.
 *
 * Next fit: a cursor goes round the area, so records made one after the other lie one after the other and leave in one
 * span. It goes back to the beginning as soon as there is room, so that what is in use stays a small part of the area:
 * the rest of it costs the host no memory, and what is written there is still in its cache when it is read. Chains may be
 * used in any order: a freed piece joins its free neighbours at once, and one slow chain keeps nothing but its own piece
 * from use. A piece never wraps round the end.
 *
 * @module
 */

/** No piece: the area has no gap of that length, or as many pieces as there may be. */
export const NO_PIECE = -1;

export class Staging {
  readonly #offset: Float64Array;
  readonly #length: Float64Array;
  /** Neighbours by offset; the last piece's next one is the first. */
  readonly #next: Uint32Array;
  readonly #previous: Uint32Array;
  readonly #free: Uint8Array;
  /** Numbers of pieces that do not exist at the moment. */
  readonly #spare: Uint32Array;
  #spares = 0;
  #cursor = 0;
  /** Bytes from the start within which the cursor is not sent back: runs of records are to be long. */
  readonly #near: number;

  /** `length` in bytes. No two gaps touch, so `max` allocated pieces make at most 2 × `max` + 1 pieces in all. */
  constructor(length: number, max: number) {
    const pieces = 2 * max + 1;
    this.#offset = new Float64Array(pieces);
    this.#length = new Float64Array(pieces);
    this.#next = new Uint32Array(pieces);
    this.#previous = new Uint32Array(pieces);
    this.#free = new Uint8Array(pieces);
    this.#spare = new Uint32Array(pieces);
    for (let piece = pieces - 1; piece > 0; piece--) this.#spare[this.#spares++] = piece;
    this.#length[0] = length;
    this.#free[0] = 1;
    this.#near = length / 16;
  }

  /** Takes `length` bytes; the piece's number, or {@linkcode NO_PIECE}. */
  allocate(length: number): number {
    // The piece at the start of the area is always number 0: it is never another's right-hand neighbour.
    const back = this.#offset[this.#cursor]! >= this.#near && this.#free[0] === 1 &&
      this.#length[0]! >= length;
    const start = back ? 0 : this.#cursor;
    let piece = start;
    do {
      if (this.#free[piece] && this.#length[piece]! >= length) return this.#take(piece, length);
      piece = this.#next[piece]!;
    } while (piece !== start);
    return NO_PIECE;
  }

  /** Where an allocated piece begins, in bytes from the start of the area. */
  offset(piece: number): number {
    return this.#offset[piece]!;
  }

  /** Gives an allocated piece back. */
  free(piece: number): void {
    this.#free[piece] = 1;
    const next = this.#next[piece]!;
    if (this.#free[next] && this.#offset[next]! > this.#offset[piece]!) this.#join(piece, next);
    const previous = this.#previous[piece]!;
    if (this.#free[previous] && this.#offset[previous]! < this.#offset[piece]!) {
      this.#join(previous, piece);
    }
  }

  #take(piece: number, length: number): number {
    const rest = this.#length[piece]! - length;
    if (rest > 0) {
      if (this.#spares === 0) return NO_PIECE;
      const gap = this.#spare[--this.#spares]!;
      const next = this.#next[piece]!;
      this.#offset[gap] = this.#offset[piece]! + length;
      this.#length[gap] = rest;
      this.#free[gap] = 1;
      this.#next[gap] = next;
      this.#previous[next] = gap;
      this.#next[piece] = gap;
      this.#previous[gap] = piece;
      this.#length[piece] = length;
    }
    this.#free[piece] = 0;
    this.#cursor = this.#next[piece]!;
    return piece;
  }

  /** Makes two neighbouring gaps one. */
  #join(left: number, right: number): void {
    const next = this.#next[right]!;
    this.#length[left] = this.#length[left]! + this.#length[right]!;
    this.#next[left] = next;
    this.#previous[next] = left;
    this.#spare[this.#spares++] = right;
    if (this.#cursor === right) this.#cursor = left;
  }
}
