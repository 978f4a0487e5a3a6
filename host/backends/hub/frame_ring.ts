/**
 * Ethernet frames that wait for one end of a hub: a fixed number of places, made once.
 *
 * - **Invariant:** a frame is whole and unchanged from `push` until `shift`; nothing is allocated for it.
 *
 * @module
 */

/** Frames that may wait: as many as a card's transmit queue has, so that one turn of one card loses none. */
const PLACES = 256;

export class FrameRing {
  /** Bytes of the longest frame. */
  readonly #size: number;
  readonly #bytes: Uint8Array;
  readonly #lengths = new Uint32Array(PLACES);
  #first = 0;
  #count = 0;

  constructor(size: number) {
    this.#size = size;
    this.#bytes = new Uint8Array(PLACES * size);
  }

  /** Keeps a copy. False: there is no room, or it is too long. */
  push(frame: Uint8Array): boolean {
    if (this.#count === PLACES || frame.length > this.#size) return false;
    const place = (this.#first + this.#count++) % PLACES;
    this.#lengths[place] = frame.length;
    this.#bytes.set(frame, place * this.#size);
    return true;
  }

  /** The oldest, in place: valid until `shift`. Undefined if there is none. */
  peek(): Uint8Array | undefined {
    if (this.#count === 0) return undefined;
    const at = this.#first * this.#size;
    return this.#bytes.subarray(at, at + this.#lengths[this.#first]!);
  }

  shift(): void {
    if (this.#count === 0) return;
    this.#first = (this.#first + 1) % PLACES;
    this.#count--;
  }

  clear(): void {
    this.#count = 0;
  }
}
