/**
 * Waiting for what shows in registers and memory and tells nobody: one look in every turn of the event loop, as a
 * driver's own loop does it.
 *
 * @module
 */
import { setImmediate } from "node:timers/promises";

/** Far more than anything in one process takes: what has not come by then does not come. */
const PATIENCE = 20_000;

/** Resolves in the first turn in which `met` is true. @throws {Error} naming `what`, which did not come */
export async function turnsUntil(met: () => boolean, what: string): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!met()) {
    if (performance.now() > end) throw new Error(`Waited in vain until ${what}`);
    await setImmediate();
  }
}
