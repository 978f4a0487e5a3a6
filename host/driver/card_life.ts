/**
 * Where a card is in its life, and why its OS stopped last: the table of states.ts, walked.
 *
 * @module
 */
import type { ShutdownReason } from "../../protocol/mod.ts";
import type { Condition, WaitOptions } from "./condition.ts";
import { type LifeEvent, type LifeState, next, statesFor } from "./states.ts";

export class CardLife {
  /** Why the card OS stopped last; `nop` while it has not. */
  reason: ShutdownReason = "nop";
  #state: LifeState = "resetting";
  readonly #told: (state: LifeState, reason: ShutdownReason) => void;
  readonly #changed: () => void;

  /** `told` hears of each state, and of each stop; `changed` of every step. */
  constructor(told: (state: LifeState, reason: ShutdownReason) => void, changed: () => void) {
    this.#told = told;
    this.#changed = changed;
  }

  get state(): LifeState {
    return this.#state;
  }

  /** The card OS has been started, and has not been reset since. */
  get runs(): boolean {
    return this.#state === "booting" || this.#state === "online" ||
      this.#state === "shutting_down" || this.#state === "suspending";
  }

  /** Where `event` would lead now; undefined where it does not apply. */
  after(event: LifeEvent): LifeState | undefined {
    return next(this.#state, event);
  }

  /** Something happened; where it does not apply, nothing. */
  advance(event: LifeEvent): void {
    const state = next(this.#state, event);
    if (state === undefined) return;
    const changed = state !== this.#state;
    this.#state = state;
    if (changed || event === "stopped") this.#told(state, this.reason);
    this.#changed();
  }

  /** Resolves as soon as the card is in one of `states`; `changed` tells of every step. */
  waitFor(
    states: readonly LifeState[],
    changed: Condition,
    options: Omit<WaitOptions, "describe">,
  ): Promise<LifeState> {
    return changed.until(() => states.includes(this.#state) ? this.#state : undefined, {
      ...options,
      describe: () =>
        `Cannot wait any longer: card is ${this.#state}, wanted ${states.join(" or ")}`,
    });
  }

  /** Somebody wants something. @throws {TypeError} if it does not apply now */
  command(event: LifeEvent): void {
    if (this.after(event) === undefined) {
      throw new TypeError(
        `Cannot ${event} card: it is ${this.#state}, wanted ${statesFor(event).join(", ")}`,
      );
    }
    this.advance(event);
  }
}
