/**
 * The hubs of one host, by name.
 *
 * @module
 */
import { Hub } from "./hub.ts";

export class Hubs implements AsyncDisposable, Iterable<Hub> {
  readonly #byName = new Map<string, Hub>();

  /** The hub is this one's from now on. */
  add(hub: Hub): void {
    this.#byName.set(hub.name, hub);
  }

  /** One that nobody added is made, without an uplink. */
  get(name: string): Hub {
    let hub = this.#byName.get(name);
    if (hub === undefined) this.#byName.set(name, hub = new Hub(name));
    return hub;
  }

  [Symbol.iterator](): Iterator<Hub> {
    return this.#byName.values();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#byName.values()].map((hub) => hub[Symbol.asyncDispose]()));
  }
}
