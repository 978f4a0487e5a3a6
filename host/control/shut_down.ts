/**
 * The last thing a host does for its card: asks the card OS to stop in good order, and does not insist.
 *
 * @module
 */
import { LinkError } from "../../protocol/mod.ts";
import { BootError } from "../driver/boot_error.ts";
import { WaitTimeout } from "../driver/condition.ts";
import { Deadline } from "../driver/deadline.ts";
import type { HostDriver } from "../driver/host_driver.ts";

/** Time for the reset after a card OS that did not stop, ms; the next host resets the card anyway. */
const RESET_TIME = 2_000;

export interface ShutDownOptions {
  /** Time that the card OS gets, ms. */
  readonly timeout: number;
  /** Leaves the card as it is. */
  readonly signal: AbortSignal;
}

/** Resolves when the card OS has stopped, or cannot be waited for any longer. Never rejects for what a card did. */
export async function shutDown(
  card: Pick<HostDriver, "shutdown">,
  { timeout, signal }: ShutDownOptions,
): Promise<void> {
  using deadline = new Deadline(timeout + RESET_TIME, () => "Cannot wait for the card any longer");
  try {
    await card.shutdown({ timeout, signal: AbortSignal.any([signal, deadline.signal]) });
  } catch (error) {
    const ours = error === signal.reason || error instanceof WaitTimeout;
    if (!(ours || error instanceof LinkError || error instanceof BootError)) throw error;
  }
}
