/**
 * A boot that cannot be, or that the card refused.
 *
 * @module
 */
import type { ShutdownReason } from "../../protocol/mod.ts";

/** Says in one sentence what was found and what was wanted; `postCode` is the card's, where it was the card that refused. */
export class BootError extends Error {
  override readonly name = "BootError";
  /** Two characters. */
  readonly postCode: string | undefined;
  constructor(message: string, options?: ErrorOptions & { readonly postCode?: string }) {
    super(message, options);
    this.postCode = options?.postCode;
  }
}

/** For a boot whose card OS stopped, for `reason`, or was reset before it came online. */
export function notOnline(reason: ShutdownReason | undefined, lastPostCode: string): BootError {
  const what = reason === undefined
    ? "the card was reset"
    : `the card OS stopped (${reason}) before it came online`;
  return new BootError(`Cannot boot: ${what}; last POST code ${lastPostCode}`);
}
