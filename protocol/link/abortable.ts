/**
 * Waiting that can be given up.
 *
 * @module
 */

/** Something under way that somebody waits for. */
export interface Failable<T> {
  readonly promise: Promise<T>;
  fail(error: unknown): void;
}

/** The promise of `request`, which fails with the signal's reason if that comes first. The listener is always removed. */
export function abortable<T>(request: Failable<T>, signal: AbortSignal): Promise<T> {
  const abort = () => request.fail(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  return request.promise.finally(() => signal.removeEventListener("abort", abort));
}

/** Resolves after `ms`, or at once when `signal` is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
