/**
 * What the card OS writes on its first serial port, as far back as it is kept: the last 64 KiB.
 *
 * Whoever follows it counts bytes from the first one of the boot: those before `kept` are gone.
 *
 * @module
 */
import { page } from "../../protocol/mod.ts";

const { LOG_SIZE } = page;

export class SerialLog {
  readonly #ring = new Uint8Array(LOG_SIZE);
  #written = 0;

  add(byte: number): void {
    this.#ring[this.#written++ % LOG_SIZE] = byte;
  }

  /** Bytes written since the boot. */
  get written(): number {
    return this.#written;
  }

  /** The first byte that is kept. */
  get kept(): number {
    return Math.max(0, this.#written - LOG_SIZE);
  }

  /** Bytes `from` to (not including) `to`, both between `kept` and `written`; a copy. */
  slice(from: number = this.kept, to: number = this.#written): Uint8Array {
    const bytes = new Uint8Array(to - from);
    const at = from % LOG_SIZE;
    const run = Math.min(bytes.length, LOG_SIZE - at);
    bytes.set(this.#ring.subarray(at, at + run));
    bytes.set(this.#ring.subarray(0, bytes.length - run), run);
    return bytes;
  }
}
