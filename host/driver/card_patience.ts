/**
 * How long a card may take, counted only while it can be reached: what it does not do in time it is not waited for.
 *
 * @module
 */
import { ProtocolError } from "../../protocol/mod.ts";
import { WaitTimeout } from "./condition.ts";
import { Deadline } from "./deadline.ts";

/** From reset to ready, ms: the original's 45 s. */
const RESET_TIMEOUT = 45_000;
/** For requests that a card answers out of its registers, and for taking more of a download, ms. */
const ANSWER_TIMEOUT = 30_000;
/** Without a heartbeat of the card OS, ms. The original gave it 40 s; the card's own watchdog has 30. */
const HANG_TIMEOUT = 40_000;

export interface CardPatienceOptions {
  /** Milliseconds from reset to ready; 45 s by default. */
  readonly resetTimeout?: number | undefined;
  /** Milliseconds for an answer; 30 s by default. */
  readonly answerTimeout?: number | undefined;
  /** Milliseconds without a heartbeat after which a card OS hangs; 40 s by default. */
  readonly hangTimeout?: number | undefined;
  /** Whether the card can be reached now: no time passes while it cannot. */
  readonly reachable?: (() => boolean) | undefined;
}

export class CardPatience {
  readonly resetTimeout: number;
  readonly hangTimeout: number;
  readonly #answerTimeout: number;
  readonly #reachable: () => boolean;

  constructor(options: CardPatienceOptions) {
    this.resetTimeout = options.resetTimeout ?? RESET_TIMEOUT;
    this.hangTimeout = options.hangTimeout ?? HANG_TIMEOUT;
    this.#answerTimeout = options.answerTimeout ?? ANSWER_TIMEOUT;
    this.#reachable = options.reachable ?? (() => true);
  }

  get reachable(): boolean {
    return this.#reachable();
  }

  /** For a reset or an adoption. Dispose it. */
  forReset(describe: () => string): Deadline {
    return new Deadline(this.resetTimeout, describe, this.#reachable);
  }

  /**
   * Runs `ask`, which waits for answers of the card, and ends it when none comes in time.
   * @throws {ProtocolError} then: it did not do `what`
   */
  async answered<T>(
    what: string,
    signal: AbortSignal,
    ask: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const text = `Cannot use card: it did not ${what} for ${this.#answerTimeout / 1000} s`;
    using deadline = new Deadline(this.#answerTimeout, () => text, this.#reachable);
    try {
      return await ask(AbortSignal.any([signal, deadline.signal]));
    } catch (error) {
      if (!(error instanceof WaitTimeout)) throw error;
      throw new ProtocolError("malformed", text, { cause: error });
    }
  }
}
