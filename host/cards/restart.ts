/**
 * Whether a card OS that stopped is booted again, and when.
 *
 * An operator's command is never undone, and an OS that restarts is always obeyed. Everything else is policy:
 *
 * | it ended by | never | on-failure | always |
 * | --- | --- | --- | --- |
 * | shutdown, reset or suspend by the operator | stays | stays | stays |
 * | restart of its own | at once | at once | at once |
 * | crash, or a boot that failed | stays | after a while | after a while |
 * | power off or halt of its own | stays | stays | after a while |
 *
 * "A while" is a second, doubled each time up to a minute; a card OS that was online for a minute starts it over.
 *
 * @module
 */
import type { ShutdownReason } from "../../protocol/mod.ts";

/** What is done when the card OS stops without having been asked to. */
export type RestartPolicy = "never" | "on-failure" | "always";
export const RESTART_POLICIES: readonly RestartPolicy[] = ["never", "on-failure", "always"];

/** ms. */
const FIRST_DELAY = 1000;
const LAST_DELAY = 60_000;
/** Online for so long, ms: what went wrong before is forgotten. */
const STEADY = 60_000;

/** How a boot ended. */
export interface Ending {
  readonly reason: ShutdownReason;
  /** By the operator. */
  readonly asked: boolean;
  /** ms that it was online; 0 if it never was. */
  readonly online: number;
}

export class Restarts {
  readonly policy: RestartPolicy;
  #delay = FIRST_DELAY;

  constructor(policy: RestartPolicy) {
    this.policy = policy;
  }

  /** ms until the next boot; undefined: it stays as it is. */
  after({ reason, asked, online }: Ending): number | undefined {
    if (online >= STEADY) this.#delay = FIRST_DELAY;
    // A reset by hand ends a boot without a reason.
    if (asked || reason === "nop") return undefined;
    if (reason === "restart") return 0;
    if (reason === "crashed") return this.afterFailure();
    return this.policy === "always" ? this.#next() : undefined;
  }

  /** The same for a boot that did not come online. */
  afterFailure(): number | undefined {
    return this.policy === "never" ? undefined : this.#next();
  }

  #next(): number {
    const delay = this.#delay;
    this.#delay = Math.min(2 * delay, LAST_DELAY);
    return delay;
  }
}
