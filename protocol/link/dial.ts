/**
 * The card's side of making connections: dial, greet, run; on loss dial again, for ever.
 *
 * @module
 */
import { LinkError, ProtocolError } from "../errors.ts";
import { pause } from "./abortable.ts";
import type { GoodbyeReason } from "./goodbye.ts";
import { encodeGreeting } from "./greeting.ts";
import { readGreeting, refuse, Refused } from "./handshake.ts";
import { Link } from "./link.ts";
import type { LinkOptions } from "./options.ts";
import type { Transport } from "./types.ts";

/** Time before the second attempt, doubled with each, and its bound; in ms. */
const FIRST_DELAY = 100;
const LONGEST_DELAY = 5_000;

/**
 * Opens a link that keeps itself connected through `dial` until `signal` is aborted (then it says goodbye) or one side
 * says goodbye. What is posted before the first connection waits for it.
 */
export function dialLink(
  dial: (signal: AbortSignal) => Promise<Transport>,
  options: LinkOptions,
  signal: AbortSignal,
): Link {
  const link = new Link(options);
  const stop = () => void link.close("shutdown");
  signal.addEventListener("abort", stop, { once: true });
  link.signal.addEventListener("abort", () => signal.removeEventListener("abort", stop));
  if (signal.aborted) stop();
  else void link.track(keepConnected(link, dial, options.onStatus));
  return link;
}

async function keepConnected(
  link: Link,
  dial: (signal: AbortSignal) => Promise<Transport>,
  status: LinkOptions["onStatus"],
): Promise<void> {
  for (let attempt = 1; !link.signal.aborted; attempt++) {
    status?.({ type: "connecting", attempt });
    try {
      const before = link.counters.bytesReceived;
      const { ended } = await connect(link, await dial(link.signal));
      await ended;
      // One that brought nothing was no success: a host that greets and hangs up is not to be hammered.
      if (link.counters.bytesReceived === before && !link.signal.aborted) {
        throw new LinkError("Cannot keep connection: it ended after the greetings");
      }
      attempt = 0;
    } catch (caught) {
      if (link.signal.aborted) return;
      const error = caught instanceof Error ? caught : new LinkError(String(caught));
      const delay = Math.min(FIRST_DELAY * 2 ** (attempt - 1), LONGEST_DELAY);
      status?.({ type: "retrying", attempt, error, delay });
      await pause(delay, link.signal);
    }
  }
}

/** Greets over `transport`. Rejects if it was not to be; if it never will be, the link is closed. */
async function connect(
  link: Link,
  transport: Transport,
): Promise<{ readonly ended: Promise<void> }> {
  const close = () => transport.close();
  link.signal.addEventListener("abort", close, { once: true });
  try {
    if (link.signal.aborted) throw link.signal.reason;
    await transport.write(encodeGreeting(link.prepare(transport)));
    return link.attach(transport, await readGreeting(transport));
  } catch (error) {
    link.abandon(transport);
    if (error instanceof ProtocolError) {
      await refuse(transport, error.reason, error.message);
      link.fail(error);
    } else {
      transport.close();
      if (error instanceof Refused && !mayResume(link, error.reason)) {
        link.goodbyeReceived(error.reason, error.message);
      }
    }
    throw error;
  } finally {
    link.signal.removeEventListener("abort", close);
  }
}

/** The session is as good as before: we could not be heard, or somebody else has it for now. */
const mayResume = (link: Link, reason: GoodbyeReason): boolean =>
  reason === "silence" || reason === "busy" && link.wasUp;
