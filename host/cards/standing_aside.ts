/**
 * A card that stands aside, as its host cannot lend it what it is to have: why, and the tries at it.
 *
 * A try is made when somebody wants the card: the operator boots it, or a card process comes. The operator's is made at
 * once; processes that come again and again cause one a second at most.
 *
 * - **Invariant:** one try at a time. Whoever wants the card meanwhile has the outcome of that one.
 *
 * @module
 */

/** As {@linkcode CardOptions.fault}. */
export interface Fault<L> {
  /** The sentence: what cannot be had. */
  readonly text: string;
  /** Tries again. @throws {BackendError} with the sentence; nothing stays open then */
  lend(): Promise<L>;
}

/** From the end of one try to the next that a card process causes, ms. */
const KNOCK_INTERVAL = 1000;

export class StandingAside<L> implements AsyncDisposable {
  readonly #fault: Fault<L>;
  readonly #lent: (loan: L) => void;
  #text: string;
  #trying: Promise<void> | undefined;
  #tried = -Infinity;
  #over = false;

  /** `lent` is called once, with what could be lent at last. Synchronous, must not throw. */
  constructor(fault: Fault<L>, lent: (loan: L) => void) {
    this.#fault = fault;
    this.#text = fault.text;
    this.#lent = lent;
  }

  /** What could not be had at the last try. */
  get text(): string {
    return this.#text;
  }

  /** Resolves when `lent` was called. @throws {BackendError} with the sentence, if it still cannot be */
  attempt(): Promise<void> {
    return this.#trying ??= this.#try();
  }

  /** A card process came. Undefined if that is no reason to try now. */
  knock(): Promise<void> | undefined {
    const waits = performance.now() - this.#tried < KNOCK_INTERVAL;
    return this.#over || waits || this.#trying ? undefined : this.attempt();
  }

  /** No process causes a try any more; resolves when none is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    await this.#trying?.catch(() => {});
  }

  async #try(): Promise<void> {
    try {
      this.#lent(await this.#fault.lend());
    } catch (error) {
      this.#text = (error as Error).message;
      throw error;
    } finally {
      this.#trying = undefined;
      this.#tried = performance.now();
    }
  }
}
