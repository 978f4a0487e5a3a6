/**
 * What a card's console showed last, over all its boots: a ring of bytes, and where the boot that runs begins in it.
 *
 * @module
 */

/** Bytes kept of each card. */
export const SCROLLBACK = 256 * 1024;

export class Scrollback {
  readonly #ring: Uint8Array;
  /** Bytes ever written: the next one goes to this, modulo the ring. */
  #end = 0;
  #boot = 0;

  constructor(capacity: number = SCROLLBACK) {
    this.#ring = new Uint8Array(capacity);
  }

  /** Copies `bytes`. */
  append(bytes: Uint8Array): void {
    const { length } = this.#ring;
    const kept = bytes.subarray(Math.max(0, bytes.length - length));
    const at = (this.#end + bytes.length - kept.length) % length;
    const run = Math.min(kept.length, length - at);
    this.#ring.set(kept.subarray(0, run), at);
    this.#ring.set(kept.subarray(run), 0);
    this.#end += bytes.length;
  }

  /** What comes now is another boot's. */
  beginBoot(): void {
    this.#boot = this.#end;
  }

  /** The last `count` bytes, or as many as are kept; a copy. */
  tail(count: number = this.#ring.length): Uint8Array<ArrayBuffer> {
    return this.#last(Math.min(count, this.#end));
  }

  /** The same, of the boot that runs or ran last. */
  bootTail(count: number = this.#ring.length): Uint8Array<ArrayBuffer> {
    return this.#last(Math.min(count, this.#end - this.#boot));
  }

  #last(count: number): Uint8Array<ArrayBuffer> {
    const { length } = this.#ring;
    const bytes = new Uint8Array(Math.min(count, length));
    const at = (this.#end - bytes.length) % length;
    const run = Math.min(bytes.length, length - at);
    bytes.set(this.#ring.subarray(at, at + run));
    bytes.set(this.#ring.subarray(0, bytes.length - run), run);
    return bytes;
  }
}
