/**
 * A listener in memory: who dials it is connected to who accepts.
 *
 * @module
 */
import {
  LinkError,
  memoryTransportPair,
  type TcpListener,
  type Transport,
} from "../../protocol/mod.ts";

export class MemoryListener implements TcpListener {
  readonly hostname = "memory";
  readonly port = 0;
  readonly #dialled: Transport[] = [];
  #waiting: ((transport: Transport | undefined) => void) | undefined;
  #closed = false;

  /** The dialling end. @throws {LinkError} once the listener is closed */
  dial(): Promise<Transport> {
    if (this.#closed) return Promise.reject(new LinkError("Cannot connect to memory: closed"));
    const [here, there] = memoryTransportPair();
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting(there);
    else this.#dialled.push(there);
    return Promise.resolve(here);
  }

  accept(): Promise<Transport | undefined> {
    const next = this.#dialled.shift();
    if (next || this.#closed) return Promise.resolve(next);
    return new Promise((resolve) => this.#waiting = resolve);
  }

  close(): void {
    this.#closed = true;
    this.#waiting?.(undefined);
    this.#waiting = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
