/**
 * Notices that a server answers nothing while requests wait, which is no error: they wait for as long as it takes. But
 * somebody may want to know whom the card waits for.
 *
 * One timer at most, whatever the number of requests, and none when nothing is asked.
 *
 * @module
 */

/** Without an answer for so long, or up to twice that, a server is called silent; ms. */
const LIMIT = 10_000;

export class SilenceWatch implements Disposable {
  readonly #waiting: () => boolean;
  readonly #tell: (seconds: number) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Answers so far, and when the timer was set. */
  #answers = 0;
  #before = 0;
  #told = false;

  /** `tell` is called once for each silence, if `waiting` then. */
  constructor(waiting: () => boolean, tell: (seconds: number) => void) {
    this.#waiting = waiting;
    this.#tell = tell;
  }

  /** The silence that was told of last goes on. */
  get told(): boolean {
    return this.#told;
  }

  asked(): void {
    if (this.#timer === undefined) this.#start();
  }

  answered(): void {
    this.#answers++;
    this.#told = false;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #start(): void {
    this.#before = this.#answers;
    this.#timer = setTimeout(this.#look, LIMIT);
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    if (!this.#waiting()) return;
    if (this.#answers === this.#before && !this.#told) {
      this.#told = true;
      this.#tell(LIMIT / 1000);
    }
    this.#start();
  };
}
