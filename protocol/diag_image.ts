/**
 * The boot image of the diagnostic OS: eight bytes of magic, then start-up options as UTF-8 text.
 *
 * The OS itself is part of the card; the image only says that it is wanted, and with which options: words separated by
 * white space, of the form `name` or `name=value`, as on a kernel command line (which is read after it and wins).
 *
 * @module
 */

export const DIAG_MAGIC = "KBDIAG1\n";
/** Largest image a card accepts, in bytes. */
const DIAG_IMAGE_MAX = 65_536;

/** An image with these start-up options. */
export function encodeDiagImage(options = ""): Uint8Array {
  return new TextEncoder().encode(DIAG_MAGIC + options);
}

/** The options of an image, or undefined if `bytes` is not one. */
export function decodeDiagImage(bytes: Uint8Array): string | undefined {
  if (bytes.length < DIAG_MAGIC.length || bytes.length > DIAG_IMAGE_MAX) return undefined;
  const text = new TextDecoder().decode(bytes);
  return text.startsWith(DIAG_MAGIC) ? text.slice(DIAG_MAGIC.length) : undefined;
}
