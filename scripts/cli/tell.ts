/**
 * Words for people and events for programs, on stderr.
 *
 * @module
 */

/**
 * Writes one line. Whoever read stderr may be gone (a closed terminal, `| head`), and a program's work does not end
 * with its audience, so this never throws: `console.error` would.
 */
export function tell(line: string): void {
  try {
    console.error(line);
  } catch {
    // Nobody is there to be told.
  }
}
