/**
 * A time limit as an AbortSignal whose timer ends with the scope that holds it.
 *
 * @module
 */
import { WaitTimeout } from "./condition.ts";

export class Deadline implements Disposable {
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;

  /** Aborts after `milliseconds` with a WaitTimeout that says what `describe` does by then. */
  constructor(milliseconds: number, describe: () => string) {
    this.#timer = setTimeout(
      () => this.#controller.abort(new WaitTimeout(describe())),
      milliseconds,
    );
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
