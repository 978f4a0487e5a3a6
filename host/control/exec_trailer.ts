/**
 * Tells a command's output from the trailer that ends it (`protocol/exec.ts`), however the bytes are cut.
 *
 * Invariant: at most one trailer's length of output is held back, and only while it could still become the trailer.
 *
 * @module
 */
const SPACE = 0x20;
const NEWLINE = 0x0a;
const ZERO = 0x30;
const NINE = 0x39;
const MAX_DIGITS = 3;
const NOTHING = new Uint8Array(0);

export class TrailerFinder {
  readonly #nonce: Uint8Array;
  /** Bytes held back: they may be the beginning of the trailer. */
  #tail: Uint8Array = NOTHING;
  #status: number | undefined;

  constructor(nonce: string) {
    this.#nonce = new TextEncoder().encode(nonce);
  }

  /** Exit status, once the trailer came. */
  get status(): number | undefined {
    return this.#status;
  }

  /** Takes the next bytes, and returns what is certainly output: a view of them, or a copy. After the trailer nothing is. */
  push(bytes: Uint8Array): Uint8Array {
    if (this.#status !== undefined) return NOTHING;
    const data = this.#tail.length === 0 ? bytes : concat(this.#tail, bytes);
    for (let at = this.#candidate(data, 0); at < data.length; at = this.#candidate(data, at + 1)) {
      const status = this.#trailerAt(data, at);
      if (status === undefined) continue;
      if (status !== "cut") this.#status = status;
      this.#tail = data.slice(at);
      return data.subarray(0, at);
    }
    this.#tail = NOTHING;
    return data;
  }

  #candidate(data: Uint8Array, from: number): number {
    const at = data.indexOf(this.#nonce[0]!, from);
    return at < 0 ? data.length : at;
  }

  /** The status of the trailer at `at`; "cut" if `data` ends too early to tell; undefined if there is none. */
  #trailerAt(data: Uint8Array, at: number): number | "cut" | undefined {
    for (const byte of this.#nonce) {
      if (at === data.length) return "cut";
      if (data[at++] !== byte) return undefined;
    }
    if (at === data.length) return "cut";
    if (data[at++] !== SPACE) return undefined;
    let status = 0;
    for (let digits = 0;; digits++) {
      if (at === data.length) return "cut";
      const byte = data[at++]!;
      if (byte === NEWLINE) return digits > 0 ? status : undefined;
      if (byte < ZERO || byte > NINE || digits === MAX_DIGITS) return undefined;
      status = status * 10 + byte - ZERO;
    }
  }
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
