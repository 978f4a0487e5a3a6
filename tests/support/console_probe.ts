/**
 * The device's side of a console backend, for tests: takes input and lets a test wait for what it expects.
 *
 * @module
 */
import type { ConsoleBackend } from "../../host/backends/types.ts";

/** Opens the backend at once. */
export class ConsoleProbe {
  /** Bytes of input that are still taken; raise it, then call the backend's `resume`. */
  room = Infinity;
  /** Everything taken so far. */
  text = "";
  /** Sizes as they came, `80x24`. */
  readonly sizes: string[] = [];
  /** How often input was offered. */
  offers = 0;
  #waiters: { met(): boolean; resolve(): void }[] = [];

  constructor(backend: ConsoleBackend) {
    backend.open({
      input: (bytes) => {
        this.offers++;
        const taken = Math.min(bytes.length, this.room);
        this.room -= taken;
        this.text += new TextDecoder().decode(bytes.subarray(0, taken));
        this.#check();
        return taken;
      },
      resized: (columns, rows) => {
        this.sizes.push(`${columns}x${rows}`);
        this.#check();
      },
    });
  }

  /** Resolves when `met` is true, asked after every event. */
  async until(met: () => boolean): Promise<void> {
    if (met()) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.push({ met, resolve });
    await promise;
  }

  #check(): void {
    this.#waiters = this.#waiters.filter((waiter) => {
      if (!waiter.met()) return true;
      waiter.resolve();
      return false;
    });
  }
}
