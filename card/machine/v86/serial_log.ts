/**
 * The last bytes that the card OS wrote on its first serial port: what is left of its kernel log when it died.
 *
 * @module
 */
import { page } from "../../../protocol/mod.ts";

const SERIAL_LOG_SIZE = page.LOG_SIZE;

export class SerialLog {
  readonly #ring = new Uint8Array(SERIAL_LOG_SIZE);
  #written = 0;

  add(byte: number): void {
    this.#ring[this.#written++ % SERIAL_LOG_SIZE] = byte;
  }

  /** A copy, oldest byte first. */
  bytes(): Uint8Array {
    if (this.#written <= SERIAL_LOG_SIZE) return this.#ring.slice(0, this.#written);
    const oldest = this.#written % SERIAL_LOG_SIZE;
    const bytes = new Uint8Array(SERIAL_LOG_SIZE);
    bytes.set(this.#ring.subarray(oldest));
    bytes.set(this.#ring.subarray(0, oldest), SERIAL_LOG_SIZE - oldest);
    return bytes;
  }
}
