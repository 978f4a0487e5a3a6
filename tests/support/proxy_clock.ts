/**
 * A logical clock on a proxy's wire (Lamport 1978): how many one-way trips, each waiting for the one before, what
 * happened needed at most. No wall clock is read, so a busy machine changes nothing.
 *
 * A frame that leaves an end is later by one than everything that reached that end before; both ends' clocks are 0 at
 * first. So a chain of n frames of which each was sent because the one before had come puts the clock forward by n at
 * least, and the clock never counts fewer trips than were needed. Control frames (acknowledgement by credit, heartbeat)
 * answer nothing that an operating system waits for, and are not counted.
 *
 * The layouts are written out here once more, independent of the decoder under test.
 *
 * @module
 */
import { viewOf } from "../../protocol/mod.ts";
import type { Direction } from "./proxy.ts";

const GREETING_BYTES = 128;
const HEADER = { bytes: 16, type: 0, length: 4, firstTransaction: 0x10 } as const;

export class ProxyClock {
  /** What has reached each end. */
  readonly #time = { card: 0, host: 0 };
  readonly #walkers = {
    cardToHost: new FrameWalker((whole) => this.#pass("card", "host", whole)),
    hostToCard: new FrameWalker((whole) => this.#pass("host", "card", whole)),
  };
  /** Sent, and not whole at the other end yet: its time. */
  readonly #sent = { card: 0, host: 0 };

  /** One-way trips so far. */
  get trips(): number {
    return Math.max(this.#time.card, this.#time.host);
  }

  /** To be given to a proxy as its `onBytes`; for one connection. */
  readonly onBytes = (direction: Direction, bytes: Uint8Array): void => {
    this.#walkers[direction].push(bytes);
  };

  #pass(from: "card" | "host", to: "card" | "host", whole: boolean): void {
    if (!whole) this.#sent[from] = this.#time[from] + 1;
    else this.#time[to] = Math.max(this.#time[to], this.#sent[from]);
  }
}

/** Finds where transaction frames begin and end in one direction of a connection. */
class FrameWalker {
  readonly #pass: (whole: boolean) => void;
  readonly #header = new Uint8Array(HEADER.bytes);
  #headerBytes = 0;
  /** Bytes until the next header. */
  #rest = GREETING_BYTES;
  #counted = false;

  /** `pass` is called as the header of a frame is complete, and with `true` after its last byte. */
  constructor(pass: (whole: boolean) => void) {
    this.#pass = pass;
  }

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#rest > 0) {
        const count = Math.min(this.#rest, bytes.length - at);
        this.#rest -= count;
        at += count;
      } else {
        this.#header[this.#headerBytes++] = bytes[at++]!;
        if (this.#headerBytes < HEADER.bytes) continue;
        this.#headerBytes = 0;
        this.#rest = viewOf(this.#header).getUint32(HEADER.length, true);
        this.#counted = this.#header[HEADER.type]! >= HEADER.firstTransaction;
        if (this.#counted) this.#pass(false);
      }
      if (this.#rest === 0 && this.#counted) {
        this.#counted = false;
        this.#pass(true);
      }
    }
  }
}
