/**
 * The POST port of the card, 0x280: where its OS says how far it got, two characters at a time.
 *
 * A word write is a code. Byte writes go two ways: one byte to 0x280 is a code of one character, and one to 0x281 after
 * it makes it a code of two; `/dev/port` writes that way. (A PC has its POST port at 0x80, but Linux writes there to
 * pass the time.)
 *
 * @module
 */
import type { IoSpace } from "./v86_types.ts";

const PORT = 0x280;

export class PostPort {
  #code = 0;

  constructor(io: IoSpace, onCode: (code: number) => void) {
    const set = (code: number): void => {
      this.#code = code;
      onCode(code);
    };
    io.register_read(PORT, this, () => this.#code & 0xff, () => this.#code);
    io.register_read(PORT + 1, this, () => this.#code >> 8);
    io.register_write(PORT, this, (value) => set(value & 0xff), (value) => set(value & 0xffff));
    io.register_write(PORT + 1, this, (value) => set((this.#code & 0xff) | (value & 0xff) << 8));
  }

  /** The last code, low byte first. */
  get code(): number {
    return this.#code;
  }
}
