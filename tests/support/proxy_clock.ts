/**
 * A logical clock on a proxy's wire (Lamport 1978): how many one-way trips, each waiting for the one before, what
 * happened needed at most. No wall clock is read, so a busy machine changes nothing.
 *
 * A frame that leaves an end is later by one than everything that reached that end before; both ends' clocks are 0 at
 * first. So a chain of n frames of which each was sent because the one before had come puts the clock forward by n at
 * least, and the clock never counts fewer trips than were needed. Control frames (acknowledgement by credit, heartbeat)
 * answer nothing that an operating system waits for, and are not counted.
 *
 * @module
 */
import { FrameWalker } from "./frame_walker.ts";
import type { Direction } from "./proxy.ts";

/** The least of the types that are transactions and not control frames. */
const FIRST_TRANSACTION = 0x10;

export class ProxyClock {
  /** What has reached each end. */
  readonly #time = { card: 0, host: 0 };
  readonly #walkers = {
    cardToHost: new FrameWalker((type, whole) => this.#pass("card", "host", type, whole)),
    hostToCard: new FrameWalker((type, whole) => this.#pass("host", "card", type, whole)),
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

  #pass(from: "card" | "host", to: "card" | "host", type: number, whole: boolean): void {
    if (type < FIRST_TRANSACTION) return;
    if (!whole) this.#sent[from] = this.#time[from] + 1;
    else this.#time[to] = Math.max(this.#time[to], this.#sent[from]);
  }
}
