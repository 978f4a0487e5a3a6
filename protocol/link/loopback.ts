/**
 * Is an address on this machine alone? What has no password and no encryption listens nowhere else unasked.
 *
 * @module
 */

/** By its text: a name other than `localhost` is not resolved, and does not count. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "::1" || /^127(\.\d{1,3}){3}$/.test(hostname);
}
