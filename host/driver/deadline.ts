/**
 * A time limit as an AbortSignal whose timer ends with the scope that holds it.
 *
 * It is counted in steps, and only while what is waited for can come: a card whose connection is gone is late through
 * no fault of its own, and a process that was stopped meanwhile has not waited.
 *
 * @module
 */
import { WaitTimeout } from "./condition.ts";

/** ms. */
const STEP = 250;

export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setInterval>;

  /**
   * Aborts after `milliseconds` during which `counts` was true, with a WaitTimeout that says what `describe` does by
   * then.
   */
  constructor(milliseconds: number, describe: () => string, counts: () => boolean = () => true) {
    const step = Math.min(STEP, milliseconds);
    let left = milliseconds;
    this.#timer = setInterval(() => {
      if (counts()) left -= step;
      if (left > 0) return;
      clearInterval(this.#timer);
      this.#controller.abort(new WaitTimeout(describe()));
    }, step);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
