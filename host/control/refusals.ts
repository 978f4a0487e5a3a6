/**
 * Peers that were turned away: all counted, each told of once for each reason.
 *
 * @module
 */
import type { GoodbyeReason, Refusal } from "../../protocol/mod.ts";

/** Peers remembered; beyond these strangers are only counted, as an attacker has as many names as he likes. */
const MAX_REMEMBERED = 256;

export class RefusalLog {
  readonly #seen = new Set<string>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Counts it; true if it is the first time that `reason` is told of this peer, by certificate or else by address. */
  note(
    { peer, fingerprint }: Pick<Refusal, "peer"> & Partial<Refusal>,
    reason: GoodbyeReason,
  ): boolean {
    this.#count++;
    const key = `${fingerprint ?? peer.replace(/:\d+$/, "")} ${reason}`;
    if (this.#seen.has(key) || this.#seen.size >= MAX_REMEMBERED) return false;
    this.#seen.add(key);
    return true;
  }
}
