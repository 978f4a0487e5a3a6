/**
 * Output of a card's console on its way to a reader who may be slow, asleep or not there yet.
 *
 * A console must not stop the card for ever: a kernel that prints waits for its console. So a reader that reads is
 * waited for, and one that has read nothing for a second is not: from then on the oldest bytes make room for the
 * newest, and where they are missing the reader finds a mark. Without a reader the newest 64 KiB are kept, unmarked.
 *
 * Invariant: no more than 64 KiB and the one `write` under way are held.
 *
 * @module
 */

const CAPACITY = 64 * 1024;
const PATIENCE_MS = 1000;
/** Patience is counted in steps, each one a turn of ours: while this process itself sleeps, no reader does. */
const STEPS = 4;
/** `take` needs room for a mark. */
export const TAKE_MIN = 64;

/** A bounded queue of bytes from one writer to at most one reader at a time. */
export class OutputBacklog implements Disposable {
  readonly #ring = new Uint8Array(CAPACITY);
  readonly #available: () => void;
  readonly #patience: number;
  #head = 0;
  #length = 0;
  /** Bytes dropped since the reader came, or since its last mark. */
  #lost = 0;
  #reader = false;
  #stalled = false;
  #waiting: {
    rest: Uint8Array;
    done: PromiseWithResolvers<void>;
    timer: ReturnType<typeof setInterval>;
  } | undefined;

  /** `available` is called, reader or not, when there is more to take. `patience` in ms. */
  constructor(available: () => void, patience: number = PATIENCE_MS) {
    this.#available = available;
    this.#patience = patience;
  }

  /** Resolves when there is room for more; until then `bytes` is not the caller's. */
  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#waiting !== undefined) {
      return this.#waiting.done.promise.then(() => this.write(bytes));
    }
    let rest = bytes;
    if (this.#reader && !this.#stalled) {
      // The reader may take what it is told of at once, and so make room.
      while (rest.length > 0 && this.#length < CAPACITY) {
        rest = this.#storeWhatFits(rest);
        this.#available();
      }
      if (rest.length > 0) return this.#wait(rest);
    } else {
      this.#storeDroppingOldest(rest);
      this.#available();
    }
  }

  /** A reader is there: what is kept is for it. */
  attach(): void {
    this.#reader = true;
    this.#stalled = false;
    this.#lost = 0;
  }

  /** The reader is gone. */
  detach(): void {
    this.#reader = false;
    this.#giveUpWaiting();
  }

  /** Moves the oldest bytes, at most `into.length` (TAKE_MIN or more), and returns how many. */
  take(into: Uint8Array): number {
    this.#stalled = false;
    let count = 0;
    if (this.#lost > 0) {
      const mark = `\r\n[knightsbridge: ${this.#lost} bytes lost]\r\n`;
      count = new TextEncoder().encodeInto(mark, into).written;
      this.#lost = 0;
    }
    while (count < into.length && this.#length > 0) {
      const run = Math.min(into.length - count, this.#length, CAPACITY - this.#head);
      into.set(this.#ring.subarray(this.#head, this.#head + run), count);
      this.#forget(run);
      count += run;
    }
    this.#moveWaiting();
    return count;
  }

  [Symbol.dispose](): void {
    this.detach();
  }

  #wait(rest: Uint8Array): Promise<void> {
    const done = Promise.withResolvers<void>();
    this.#waiting = { rest, done, timer: this.#startTimer() };
    return done.promise;
  }

  #startTimer(): ReturnType<typeof setInterval> {
    let steps = STEPS;
    return setInterval(() => {
      if (--steps > 0) return;
      this.#stalled = true;
      this.#giveUpWaiting();
    }, this.#patience / STEPS);
  }

  #moveWaiting(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    clearInterval(waiting.timer);
    waiting.rest = this.#storeWhatFits(waiting.rest);
    if (waiting.rest.length > 0) {
      waiting.timer = this.#startTimer();
      return;
    }
    this.#waiting = undefined;
    waiting.done.resolve();
  }

  #giveUpWaiting(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    clearInterval(waiting.timer);
    this.#storeDroppingOldest(waiting.rest);
    waiting.done.resolve();
  }

  #storeWhatFits(bytes: Uint8Array): Uint8Array {
    const count = Math.min(bytes.length, CAPACITY - this.#length);
    this.#store(bytes.subarray(0, count));
    return bytes.subarray(count);
  }

  #storeDroppingOldest(bytes: Uint8Array): void {
    const kept = bytes.subarray(Math.max(0, bytes.length - CAPACITY));
    const overflow = Math.max(0, this.#length + kept.length - CAPACITY);
    this.#lost += overflow + bytes.length - kept.length;
    this.#forget(overflow);
    this.#store(kept);
  }

  #store(bytes: Uint8Array): void {
    const at = (this.#head + this.#length) % CAPACITY;
    const run = Math.min(bytes.length, CAPACITY - at);
    this.#ring.set(bytes.subarray(0, run), at);
    this.#ring.set(bytes.subarray(run), 0);
    this.#length += bytes.length;
  }

  #forget(count: number): void {
    this.#head = (this.#head + count) % CAPACITY;
    this.#length -= count;
  }
}
