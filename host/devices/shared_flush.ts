/**
 * One data sync for every flush that can share it.
 *
 * Invariant: a caller is answered only by a sync that *started* after the call; what was written before the call is
 * then covered. Callers that come while a sync runs share the next one.
 *
 * @module
 */
export class SharedFlush {
  readonly #sync: () => Promise<void>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** `sync` resolves when all that was written before it was called is on stable storage. */
  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  /** Rejects, for every sharer, as the sync did. */
  flush(): Promise<void> {
    // Even the first one starts in a microtask, so that the flushes of one batch share it.
    this.#next ??= (this.#running ?? Promise.resolve()).then(this.#start, this.#start);
    return this.#next;
  }

  readonly #start = (): Promise<void> => {
    this.#next = undefined;
    return this.#running = this.#sync();
  };
}
