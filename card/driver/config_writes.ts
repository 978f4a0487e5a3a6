/**
 * Writes to device configuration space on their way to the host, one message each, in order.
 *
 * While the link takes no more they wait here: each may be a character of an emergency console, so none stands for
 * another, and what a card OS wrote leaves even if it has stopped meanwhile. A card OS that writes without end cannot
 * fill memory: beyond a limit a write takes the place of the last one to the same field, or is dropped.
 *
 * @module
 */
import { MESSAGE, type Requester } from "../../protocol/mod.ts";

/** Writes that wait at most. */
const HELD_MAX = 4096;

/** Arguments of the message: slot, width and offset; value. */
interface Write {
  readonly place: number;
  readonly value: number;
}

export class ConfigWrites {
  readonly #requester: Pick<Requester, "message" | "writable" | "onWritable">;
  #held: Write[] = [];
  /** There is no host: what is written waits for the next. */
  #parked = false;

  constructor(requester: Pick<Requester, "message" | "writable" | "onWritable">) {
    this.#requester = requester;
  }

  post(slot: number, offset: number, width: 1 | 2 | 4, value: number): void {
    const write = { place: (slot | (width << 8) | (offset << 16)) >>> 0, value: value >>> 0 };
    if (this.#held.length === 0) {
      if (this.#requester.writable && !this.#parked) return this.#send(write);
      if (!this.#parked) this.#requester.onWritable(() => this.#release());
    }
    if (this.#held.length < HELD_MAX) {
      this.#held.push(write);
      return;
    }
    const last = this.#held.findLastIndex(({ place }) => place === write.place);
    if (last >= 0) this.#held[last] = write;
  }

  /** The host is gone. */
  park(): void {
    this.#parked = true;
  }

  /** A host is there again, and knows the devices. */
  resume(): void {
    this.#parked = false;
    if (this.#held.length === 0) return;
    if (this.#requester.writable) this.#release();
    else this.#requester.onWritable(() => this.#release());
  }

  #release(): void {
    if (this.#parked) return;
    const held = this.#held;
    this.#held = [];
    for (const write of held) this.#send(write);
  }

  #send({ place, value }: Write): void {
    this.#requester.message(MESSAGE.device_config_write, place, value);
  }
}
