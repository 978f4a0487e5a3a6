/**
 * When the host ends, and how patiently.
 *
 * @module
 */
import { EXIT } from "../../scripts/cli/mod.ts";

/** A terminal and whoever started us may both pass one Ctrl-C on: what comes within this time is one, ms. */
const ONE_SIGNAL = 500;

export class Leaving {
  /** Aborts when the card OS is not waited for. */
  readonly hurry: AbortSignal;
  readonly #hurry = new AbortController();
  readonly #end = Promise.withResolvers<number>();
  #left = -Infinity;

  /** From now on signals end the host, not the process. */
  constructor() {
    this.hurry = this.#hurry.signal;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      Deno.addSignalListener(signal, () => this.leave(EXIT.interrupted));
    }
  }

  /** The exit status, when the host is to end. */
  get asked(): Promise<number> {
    return this.#end.promise;
  }

  /** Once: in good order. Again: without waiting for the card OS. A third time: at once. */
  leave(status: number): void {
    const again = this.#left !== -Infinity;
    if (performance.now() - this.#left < ONE_SIGNAL) return;
    this.#left = performance.now();
    if (this.hurry.aborted) Deno.exit(status);
    if (again) this.#hurry.abort(new DOMException("The card is left as it is", "AbortError"));
    this.end(status);
  }

  /** What the host was there for is done. */
  end(status: number): void {
    this.#end.resolve(status);
  }

  /** It cannot be done. */
  fail(error: unknown): void {
    this.#end.reject(error);
  }
}
