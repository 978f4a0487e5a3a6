/**
 * Peers that were turned away: all counted, each told of once for each reason.
 *
 * @module
 */
import type { GoodbyeReason, Refusal } from "../../protocol/mod.ts";

/** Peers remembered; beyond these strangers are only counted, as an attacker has as many names as he likes. */
const MAX_REMEMBERED = 256;

/** Tells an operator: as an event, and as a line. */
export type Say = (event: object, line: string) => void;

export class RefusalLog {
  readonly #say: Say;
  readonly #seen = new Set<string>();
  #count = 0;

  constructor(say: Say) {
    this.#say = say;
  }

  /** Counts it; tells of this peer, by certificate or else by address, once for each reason. */
  note(refusal: Refusal, reason: GoodbyeReason = "identity"): void {
    const { peer, fingerprint, text } = refusal;
    this.#count++;
    const key = `${reason} ${fingerprint ?? peer.replace(/:\d+$/, "")}`;
    if (this.#seen.has(key) || this.#seen.size >= MAX_REMEMBERED) return;
    this.#seen.add(key);
    const event = { type: "refused", reason, ...refusal, count: this.#count };
    this.#say(event, `refused ${peer}: ${reason}, ${text}`);
  }

  /** Tells how many there were, if any. */
  sumUp(): void {
    const count = this.#count;
    if (count > 0) this.#say({ type: "refusals", count }, `turned ${count} connections away`);
  }
}
