/**
 * Peers that were turned away at the door: all counted, each told of once.
 *
 * @module
 */
import type { Refusal } from "../../protocol/mod.ts";

/** Peers remembered; beyond these strangers are only counted, as an attacker has as many names as he likes. */
const MAX_REMEMBERED = 256;

export class RefusalLog {
  readonly #seen = new Set<string>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Counts it; true if this peer, by certificate or else by address, is to be told of for the first time. */
  note({ peer, fingerprint }: Refusal): boolean {
    this.#count++;
    const key = fingerprint ?? peer.replace(/:\d+$/, "");
    if (this.#seen.has(key) || this.#seen.size >= MAX_REMEMBERED) return false;
    this.#seen.add(key);
    return true;
  }
}
