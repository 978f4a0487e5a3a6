/**
 * The question whether a peer is still at the other end of its connection, asked because somebody else says to be it.
 *
 * Only the answer to a ping sent from now on counts, since bytes on the way may be older than the peer's end. As long
 * as bytes come the answer may be behind them, so silence is what is counted: in steps, so that a process that was
 * stopped in between hears what came meanwhile before it judges.
 *
 * @module
 */

/** Nothing heard for so long, ms: the peer is dead. Well below the time that a card waits for its greeting. */
export const ANSWER_TIME = 2_000;
/** Bytes that came all of this time, ms, are answer enough. */
const LONGEST_TIME = 5_000;
const STEP = 250;

export class AliveQuestion {
  /** Resolves with the answer. */
  readonly answer: Promise<boolean>;
  readonly #resolve: (alive: boolean) => void;
  readonly #timer: ReturnType<typeof setInterval>;
  #heard = false;
  #quiet = 0;
  #asked = 0;

  /** The question was just sent. `silence` is what the link allows at most, ms. */
  constructor(silence: number) {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.answer = promise;
    this.#resolve = resolve;
    const quietest = Math.min(ANSWER_TIME, silence);
    this.#timer = setInterval(() => {
      this.#asked += STEP;
      this.#quiet = this.#heard ? 0 : this.#quiet + STEP;
      this.#heard = false;
      if (this.#quiet >= quietest) this.settle(false);
      else if (this.#asked >= LONGEST_TIME) this.settle(true);
    }, STEP);
  }

  /** Some bytes came. */
  heard(): void {
    this.#heard = true;
  }

  /** The answer is known: the pong came, or the connection is over. */
  settle(alive: boolean): void {
    clearInterval(this.#timer);
    this.#resolve(alive);
  }
}
