/**
 * Where frames begin and end in one direction of a connection.
 *
 * The layouts are written out here once more, independent of the decoder under test.
 *
 * @module
 */
import { viewOf } from "../../protocol/mod.ts";

const GREETING_BYTES = 128;
const HEADER = { bytes: 16, type: 0, length: 4 } as const;

/** What a byte of a connection belongs to. `byte` counts from the start of that. */
export interface Place {
  /** Type of the frame; undefined in the greeting, and in the first byte of a header that is not there yet. */
  readonly type: number | undefined;
  readonly byte: number;
}

export class FrameWalker {
  readonly #pass: (type: number, whole: boolean) => void;
  readonly #header = new Uint8Array(HEADER.bytes);
  #headerBytes = 0;
  /** Bytes until the next header. */
  #rest = GREETING_BYTES;
  #type: number | undefined;
  #byte = 0;

  /** `pass` is called as the header of a frame is complete, and with `true` after its last byte. */
  constructor(pass: (type: number, whole: boolean) => void = () => {}) {
    this.#pass = pass;
  }

  /** Where the last byte was. */
  get place(): Place {
    return { type: this.#type, byte: this.#byte };
  }

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#rest > 0) {
        const count = Math.min(this.#rest, bytes.length - at);
        this.#rest -= count;
        this.#byte += count;
        at += count;
      } else {
        if (this.#headerBytes === 0) {
          this.#type = bytes[at]!;
          this.#byte = 0;
        }
        this.#byte++;
        this.#header[this.#headerBytes++] = bytes[at++]!;
        if (this.#headerBytes < HEADER.bytes) continue;
        this.#headerBytes = 0;
        this.#rest = viewOf(this.#header).getUint32(HEADER.length, true);
        this.#pass(this.#type!, false);
      }
      if (this.#rest === 0 && this.#type !== undefined && this.#headerBytes === 0) {
        this.#pass(this.#type, true);
      }
    }
  }
}
