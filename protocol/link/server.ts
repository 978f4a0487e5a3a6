/**
 * The host's side of making connections: greets whoever was accepted, and gives each transport to its session.
 *
 * @module
 */
import { LinkError, ProtocolError } from "../errors.ts";
import { encodeGreeting, type Greeting, IDENTITY_BYTES, isNewSession } from "./greeting.ts";
import { readGreeting, refuse, Refused } from "./handshake.ts";
import { Link } from "./link.ts";
import type { LinkServerOptions } from "./options.ts";
import { INITIAL_SEQUENCE } from "./sequence.ts";
import type { Transport } from "./types.ts";

/** Connections that have not greeted yet: beyond this many, further ones are closed at once. */
const MAX_GREETING = 64;

export class LinkServer implements AsyncDisposable {
  readonly #options: LinkServerOptions;
  readonly #sessions = new Map<string, Link>();
  /** Transports in their handshake, or being refused. */
  readonly #greeting = new Set<Transport>();
  readonly #serving = new Set<Promise<void>>();
  #closed = false;

  constructor(options: LinkServerOptions) {
    this.#options = options;
  }

  /** Serves one accepted transport until it ends. Owns it; never rejects. */
  serve(transport: Transport): Promise<void> {
    const done = this.#serve(transport);
    this.#serving.add(done);
    void done.then(() => this.#serving.delete(done));
    return done;
  }

  /** Ends every session in good order, and every handshake. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const transport of this.#greeting) transport.close();
    await Promise.all([...this.#sessions.values()].map((link) => link.close("shutdown")));
    await Promise.all(this.#serving);
  }

  async #serve(transport: Transport): Promise<void> {
    if (this.#closed || this.#greeting.size >= MAX_GREETING) return transport.close();
    this.#greeting.add(transport);
    let run: { readonly ended: Promise<void> } | undefined;
    try {
      const greeting = await readGreeting(transport);
      const link = this.#linkFor(greeting, transport);
      run = await attach(link, transport, greeting);
    } catch (error) {
      await this.#turnAway(transport, error);
    } finally {
      this.#greeting.delete(transport);
    }
    await run?.ended;
  }

  /** Ends a handshake that failed: with a goodbye, unless the peer is gone or has said its own. */
  async #turnAway(transport: Transport, error: unknown): Promise<void> {
    const { onRefused } = this.#options;
    if (error instanceof LinkError || error instanceof Refused) {
      if (error instanceof Refused) onRefused?.(transport.peer, error.reason, error.message);
      transport.close();
      return;
    }
    const reason = error instanceof ProtocolError ? error.reason : "internal";
    const text = error instanceof Error ? error.message : String(error);
    onRefused?.(transport.peer, reason, text);
    await refuse(transport, reason, text);
  }

  /** The session that `greeting` asks for. @throws {ProtocolError} the goodbye to say, if it gets none */
  #linkFor(greeting: Greeting, transport: Transport): Link {
    if (greeting.role !== "card") {
      throw new ProtocolError("malformed", `Cannot serve peer: it is a ${greeting.role}`);
    }
    return isNewSession(greeting) ? this.#open(greeting, transport) : this.#find(greeting);
  }

  #find(greeting: Greeting): Link {
    const link = this.#sessions.get(sessionKey(greeting.identity, greeting.session));
    if (
      !link || link.signal.aborted || link.state === "closing" ||
      greeting.epoch !== this.#options.epoch
    ) {
      throw new ProtocolError(
        "session",
        "Cannot resume session: this host does not know it, it may have been restarted",
      );
    }
    return link;
  }

  #open(greeting: Greeting, transport: Transport): Link {
    const { epoch, identity, limits, accept, onLink } = this.#options;
    if (this.#closed) throw new ProtocolError("shutdown", "Cannot serve card: host is stopping");
    if (greeting.received !== INITIAL_SEQUENCE) {
      throw new ProtocolError("sequence", "Cannot begin session: card received frames before it");
    }
    const answer = accept(greeting, transport.peer);
    if ("refuse" in answer) throw new ProtocolError(answer.refuse, answer.text);
    const link = new Link({ role: "host", identity, ...(limits && { limits }), ...answer });
    const session = crypto.getRandomValues(new Uint8Array(IDENTITY_BYTES));
    const key = sessionKey(greeting.identity, session);
    link.begin(session, epoch, greeting);
    this.#sessions.set(key, link);
    void link.closed.then(() => this.#sessions.delete(key));
    onLink(link, greeting);
    return link;
  }
}

/** A session is found by the card that began it alone. */
const sessionKey = (card: Uint8Array, session: Uint8Array): string =>
  card.toHex() + session.toHex();

/** Greets back and hands `transport` to `link`. A session that never was up is closed if that fails. */
async function attach(
  link: Link,
  transport: Transport,
  greeting: Greeting,
): Promise<{ readonly ended: Promise<void> }> {
  const close = () => transport.close();
  link.signal.addEventListener("abort", close, { once: true });
  try {
    await transport.write(encodeGreeting(link.prepare(transport)));
    return link.attach(transport, greeting);
  } catch (error) {
    link.abandon(transport);
    // The link ends, but the transport is still good for a goodbye.
    link.signal.removeEventListener("abort", close);
    if (error instanceof ProtocolError) link.fail(error);
    else if (!link.wasUp) void link.close("shutdown");
    throw error;
  } finally {
    link.signal.removeEventListener("abort", close);
  }
}
