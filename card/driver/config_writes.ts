/**
 * Writes to device configuration space on their way to the host, one message each.
 *
 * While the link takes no more, only the latest value of each field is kept, so a card OS that writes without end
 * cannot fill memory; what waits is as much as configuration space has places.
 *
 * @module
 */
import { MESSAGE, type Requester } from "../../protocol/mod.ts";

export class ConfigWrites {
  readonly #requester: Pick<Requester, "message" | "writable" | "onWritable">;
  /** First argument of the message (slot, width, offset) to second (value), in the order of first writing. */
  readonly #held = new Map<number, number>();

  constructor(requester: Pick<Requester, "message" | "writable" | "onWritable">) {
    this.#requester = requester;
  }

  post(slot: number, offset: number, width: 1 | 2 | 4, value: number): void {
    const place = (slot | (width << 8) | (offset << 16)) >>> 0;
    if (this.#held.size === 0 && this.#requester.writable) {
      this.#requester.message(MESSAGE.device_config_write, place, value >>> 0);
      return;
    }
    if (this.#held.size === 0) this.#requester.onWritable(() => this.#release());
    this.#held.set(place, value >>> 0);
  }

  /** Forgets what waits: the devices are gone. */
  clear(): void {
    this.#held.clear();
  }

  #release(): void {
    for (const [place, value] of this.#held) {
      this.#requester.message(MESSAGE.device_config_write, place, value);
    }
    this.#held.clear();
  }
}
