/**
 * Random numbers that a seed repeats: what a soak prints is enough to see it again.
 *
 * @module
 */

export class Random {
  #state: number;

  constructor(seed: number) {
    // Seeds that are close together are not to begin alike, and a state of zero would stay there.
    this.#state = Math.imul(seed ^ 0x5bd1_e995, 0x9e37_79b1) | 1;
    for (let i = 0; i < 8; i++) this.#next();
  }

  /** A whole number from 0 to `bound` - 1; `bound` at most 2^32. */
  below(bound: number): number {
    return Math.floor(this.#next() / 2 ** 32 * bound);
  }

  /** True one time in `n`. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  /** One of `choices`, which are not none. */
  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /** Xorshift with shifts of 13, 17 and 5 (Marsaglia): every state but zero, once in 2^32 - 1. */
  #next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }
}
