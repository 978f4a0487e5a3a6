/**
 * The device's side of a network backend, for tests: takes frames and lets a test wait for what it expects.
 *
 * @module
 */
import type { NetBackend } from "../../host/backends/types.ts";

interface Waiter {
  met(): boolean;
  resolve(): void;
}

/** Opens the backend at once. */
export class NetProbe {
  /** Frames that `receive` still takes. */
  room = Infinity;
  /** Copies of frames that were refused. */
  readonly refused: Uint8Array[] = [];
  /** `received` and `writable` events so far. */
  batches = 0;
  writables = 0;
  #link: boolean | undefined;
  readonly #frames: Uint8Array[] = [];
  #waiters: Waiter[] = [];

  constructor(backend: NetBackend) {
    backend.open({
      receive: (frame) => {
        const copy = frame.slice();
        const take = this.room > 0;
        if (take) this.room--;
        (take ? this.#frames : this.refused).push(copy);
        this.#check();
        return take;
      },
      received: () => {
        this.batches++;
        this.#check();
      },
      writable: () => {
        this.writables++;
        this.#check();
      },
      link: (up) => {
        this.#link = up;
        this.#check();
      },
    });
  }

  /** The first frame, received or yet to come, that `wanted` is true for; those before it are forgotten. */
  async frame(wanted: (frame: Uint8Array) => boolean): Promise<Uint8Array> {
    let found: Uint8Array | undefined;
    await this.until(() => {
      while (found === undefined && this.#frames.length > 0) {
        const frame = this.#frames.shift()!;
        if (wanted(frame)) found = frame;
      }
      return found !== undefined;
    });
    return found!;
  }

  linkIs(up: boolean): Promise<void> {
    return this.until(() => this.#link === up);
  }

  /** A frame that was refused. */
  refusal(): Promise<void> {
    return this.until(() => this.refused.length > 0);
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
