/**
 * The data syncs of one file.
 *
 * When write-back fails, Linux says so to one sync and then counts the lost pages as clean, so the next sync would
 * succeed without them. Hence, as in QEMU and PostgreSQL: after one sync failed, every later one fails too, until the
 * file is opened anew.
 *
 * @module
 */
export class DataSync {
  readonly #sync: () => Promise<void>;
  #failure: { readonly error: unknown } | undefined;
  #all: Promise<unknown> = Promise.resolve();

  /** `sync` resolves when what was written before is on stable storage. */
  constructor(sync: () => Promise<void>) {
    this.#sync = sync;
  }

  /** Rejects as `sync` did, now or ever before. */
  run(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    const done = this.#sync().catch((error) => {
      this.#failure ??= { error };
      throw error;
    });
    this.#all = Promise.allSettled([this.#all, done]);
    return done;
  }

  /** Resolves when no sync runs any more. */
  async settled(): Promise<void> {
    await this.#all;
  }
}
