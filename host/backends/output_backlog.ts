/**
 * Output of a card's console on its way to a reader who may be slow, asleep or not there yet.
 *
 * A console must not stop the card for ever: a kernel that prints waits for its console. So a reader that reads is
 * waited for, and one that has read nothing for a second is not: from then on the oldest bytes make room for the
 * newest, and where they are missing the reader finds a mark. Without a reader the newest 64 KiB are kept, unmarked.
 *
 * One reader among several is not waited for at all unless the console hub says so (`paced`).
 *
 * Invariant: no more than the capacity and the one `write` under way are held.
 *
 * @module
 */

/** Bytes, unless asked for otherwise. */
const CAPACITY = 64 * 1024;
const PATIENCE_MS = 1000;
/** Patience is counted in steps, each one a turn of ours: while this process itself sleeps, no reader does. */
const STEPS = 4;
/** `take` needs room for a mark. */
export const TAKE_MIN = 64;

/** How an {@linkcode OutputBacklog} is other than usual. */
export interface BacklogOptions {
  /** Time that a reader may read nothing, ms; then it is not waited for. */
  readonly patience?: number;
  /** Bytes. */
  readonly capacity?: number;
}

/** A bounded queue of bytes from one writer to at most one reader at a time. */
export class OutputBacklog implements Disposable {
  readonly #capacity: number;
  readonly #ring: Uint8Array;
  readonly #available: () => void;
  readonly #patience: number;
  #paced = true;
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

  /** `available` is called, reader or not, when there is more to take. */
  constructor(
    available: () => void,
    { patience = PATIENCE_MS, capacity = CAPACITY }: BacklogOptions = {},
  ) {
    this.#available = available;
    this.#patience = patience;
    this.#capacity = capacity;
    this.#ring = new Uint8Array(capacity);
  }

  /** Whether the reader is waited for at all; if not, the oldest bytes make room at once, and `write` is done when it returns. */
  set paced(paced: boolean) {
    this.#paced = paced;
    if (!paced) this.#giveUpWaiting();
  }

  /** Resolves when there is room for more; until then `bytes` is not the caller's. */
  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#waiting !== undefined) {
      return this.#waiting.done.promise.then(() => this.write(bytes));
    }
    let rest = bytes;
    if (this.#reader && this.#paced && !this.#stalled) {
      // The reader may take what it is told of at once, and so make room.
      while (rest.length > 0 && this.#length < this.#capacity) {
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
      const run = Math.min(into.length - count, this.#length, this.#capacity - this.#head);
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
    const count = Math.min(bytes.length, this.#capacity - this.#length);
    this.#store(bytes.subarray(0, count));
    return bytes.subarray(count);
  }

  #storeDroppingOldest(bytes: Uint8Array): void {
    const kept = bytes.subarray(Math.max(0, bytes.length - this.#capacity));
    const overflow = Math.max(0, this.#length + kept.length - this.#capacity);
    this.#lost += overflow + bytes.length - kept.length;
    this.#forget(overflow);
    this.#store(kept);
  }

  #store(bytes: Uint8Array): void {
    const at = (this.#head + this.#length) % this.#capacity;
    const run = Math.min(bytes.length, this.#capacity - at);
    this.#ring.set(bytes.subarray(0, run), at);
    this.#ring.set(bytes.subarray(run), 0);
    this.#length += bytes.length;
  }

  #forget(count: number): void {
    this.#head = (this.#head + count) % this.#capacity;
    this.#length -= count;
  }
}
