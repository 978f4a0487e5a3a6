/**
 * Waiting for what cannot be cancelled.
 *
 * @module
 */

/** `promise`, or the signal's reason if that comes first; nothing is left listening. */
export async function until<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const given = Promise.withResolvers<never>();
  const abort = () => given.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, given.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
