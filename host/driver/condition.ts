/**
 * Waiting for a condition on local state: no polling, always cancellable.
 *
 * @module
 */

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds; none by default. */
  readonly timeout?: number | undefined;
  /** What the timeout error says; called only then. */
  readonly describe?: () => string;
}

/** Something waited for did not happen in time. */
export class WaitTimeout extends Error {
  override readonly name = "WaitTimeout";
}

/** Wakes whoever waits on state that its owner changes. */
export class Condition {
  readonly #waiters = new Set<() => void>();

  /** The state changed: every waiter looks again. Cheap when nobody waits. */
  notify(): void {
    if (this.#waiters.size === 0) return;
    for (const look of [...this.#waiters]) look();
  }

  /**
   * Resolves with what `probe` returns as soon as that is not undefined: looks now, and after every `notify`. Rejects
   * with what `probe` throws, with the signal's reason, or with WaitTimeout.
   */
  until<T>(probe: () => T | undefined, options: WaitOptions = {}): Promise<T> {
    const { signal, timeout, describe } = options;
    return new Promise<T>((resolve, reject) => {
      const end = (settle: () => void) => {
        this.#waiters.delete(look);
        signal?.removeEventListener("abort", aborted);
        clearTimeout(timer);
        settle();
      };
      const aborted = () => end(() => reject(signal!.reason));
      const look = () => {
        let found: T | undefined;
        try {
          found = probe();
        } catch (error) {
          return end(() => reject(error));
        }
        if (found !== undefined) end(() => resolve(found));
      };
      let timer: ReturnType<typeof setTimeout> | undefined;
      if (signal?.aborted) return reject(signal.reason);
      this.#waiters.add(look);
      signal?.addEventListener("abort", aborted);
      if (timeout !== undefined) {
        timer = setTimeout(
          () => end(() => reject(new WaitTimeout(describe?.() ?? `Waited ${timeout} ms in vain`))),
          timeout,
        );
      }
      look();
    });
  }
}
