/**
 * How long a card's connection is gone, and the end of the patience with it, if there is one.
 *
 * @module
 */
import type { LinkStatus } from "../../protocol/mod.ts";

export class Absence implements Disposable {
  readonly #limit: number | undefined;
  readonly #over: () => void;
  #since: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `over` is called once the connection is gone for `limit` ms; never without a limit. */
  constructor(limit: number | undefined, over: () => void) {
    this.#limit = limit;
    this.#over = over;
  }

  /** ms since the connection was lost; undefined while there is one. */
  get time(): number | undefined {
    return this.#since === undefined ? undefined : performance.now() - this.#since;
  }

  /** What the link says. */
  see(status: LinkStatus): void {
    if (status.type === "lost") {
      this.#since = performance.now();
      if (this.#limit !== undefined) this.#timer = setTimeout(this.#over, this.#limit);
    } else if (status.type === "up" || status.type === "closed") {
      this[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#since = undefined;
  }
}
