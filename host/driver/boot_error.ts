/**
 * A boot that cannot be, or that the card refused.
 *
 * @module
 */

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
