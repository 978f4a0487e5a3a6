/**
 * Waiting with a limit.
 *
 * @module
 */

/** `promise`, unless `ms` milliseconds pass first (then `late()` is thrown) or `signal` is aborted. Leaks no timer. */
export async function within<T>(
  promise: Promise<T>,
  ms: number,
  late: () => Error,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const limit = Promise.withResolvers<never>();
  const abort = () => limit.reject(signal.reason);
  const timer = setTimeout(() => limit.reject(late()), ms);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, limit.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", abort);
  }
}
