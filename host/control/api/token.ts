/**
 * The bearer token of the control API on TCP (RFC 6750 §2.1).
 *
 * @module
 */
import { timingSafeEqual } from "node:crypto";

const encoder = new TextEncoder();

/**
 * Tells whether a request brings `token`, in a time that says nothing about it but its length.
 * @throws {RangeError} for a token that is too short to be a secret
 */
export function bearer(token: string): (request: Request) => boolean {
  if (token.length < 16) {
    throw new RangeError("Cannot use the control token: wanted at least 16 characters");
  }
  const wanted = encoder.encode(token);
  return (request) => {
    const [, found = ""] = /^bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "") ??
      [];
    const bytes = encoder.encode(found);
    return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
  };
}
