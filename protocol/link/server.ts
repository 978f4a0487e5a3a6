/**
 * The host's side of making connections: greets whoever was accepted, and gives each transport to its session.
 *
 * A card that is there is not replaced: whoever claims its session, or asks for a new one as the same card, gets it only
 * if nobody answers on the connection that it has (protocol/README.md, "Claims").
 *
 * @module
 */
import { LinkError, ProtocolError } from "../errors.ts";
import { CROWDED, Door, DOOR_LIMIT } from "./door.ts";
import { encodeGreeting, type Greeting, IDENTITY_BYTES, isNewSession } from "./greeting.ts";
import { readGreeting, refuse, Refused, TooLate } from "./handshake.ts";
import { Link } from "./link.ts";
import type { LinkServerOptions } from "./options.ts";
import { INITIAL_SEQUENCE } from "./sequence.ts";
import type { Transport } from "./types.ts";

export class LinkServer implements AsyncDisposable {
  readonly #options: LinkServerOptions;
  readonly #sessions = new Map<string, Link>();
  /** Transports in their handshake, or being refused. */
  readonly #door = new Door();
  /** Transports that claim to be a card that is there. */
  readonly #claiming = new Set<Transport>();
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
    this.#door.closeAll();
    for (const transport of this.#claiming) transport.close();
    await Promise.all([...this.#sessions.values()].map((link) => link.close("shutdown")));
    await Promise.all(this.#serving);
  }

  async #serve(transport: Transport): Promise<void> {
    if (this.#closed) return transport.close();
    this.#enter(transport);
    let run: { readonly ended: Promise<void> } | undefined;
    try {
      const greeting = await readGreeting(transport);
      this.#door.leave(transport);
      checkRole(greeting);
      for (const link of this.#claimed(greeting)) await this.#claim(link, transport);
      // In one turn: another connection that waited beside this one must find it done, or not begun.
      run = await attach(this.#linkFor(greeting, transport), transport, greeting);
    } catch (error) {
      await this.#turnAway(transport, error);
    } finally {
      this.#door.leave(transport);
    }
    await run?.ended;
  }

  #enter(transport: Transport): void {
    const evicted = this.#door.enter(transport);
    if (evicted) this.#options.onRefused?.(evicted.peer, "busy", CROWDED);
  }

  /** Ends a handshake that failed: with a goodbye, unless the peer is gone or has said its own. */
  async #turnAway(transport: Transport, error: unknown): Promise<void> {
    const { onRefused } = this.#options;
    if (error instanceof LinkError || error instanceof Refused) {
      if (error instanceof Refused) onRefused?.(transport.peer, error.reason, error.message);
      if (error instanceof TooLate) onRefused?.(transport.peer, "silence", error.message);
      transport.close();
      return;
    }
    const reason = error instanceof ProtocolError ? error.reason : "internal";
    const text = error instanceof Error ? error.message : String(error);
    onRefused?.(transport.peer, reason, text);
    this.#enter(transport);
    await refuse(transport, reason, text);
  }

  /** The session that `greeting` asks for. @throws {ProtocolError} the goodbye to say, if it gets none */
  #linkFor(greeting: Greeting, transport: Transport): Link {
    return isNewSession(greeting) ? this.#open(greeting, transport) : this.#find(greeting);
  }

  /** The sessions whose card must not be there any more, if `greeting` is to be served. @throws {ProtocolError} */
  #claimed(greeting: Greeting): Link[] {
    if (!isNewSession(greeting)) return [this.#find(greeting)];
    const card = greeting.identity.toHex();
    return [...this.#sessions].flatMap(([key, link]) => key.startsWith(card) ? [link] : []);
  }

  /** Returns once nobody is at the other end of `link`. @throws {ProtocolError} busy, if somebody is */
  async #claim(link: Link, transport: Transport): Promise<void> {
    if (link.state !== "up") return;
    if (this.#claiming.size >= DOOR_LIMIT) throw busy("too many connections say to be cards");
    this.#claiming.add(transport);
    try {
      // Of two that wait, one may have got it meanwhile, and is asked in its turn.
      while (link.state === "up") {
        if (await link.answers()) {
          throw busy("another process with its identity is connected, and answers");
        }
      }
    } finally {
      this.#claiming.delete(transport);
    }
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

function checkRole({ role }: Greeting): void {
  if (role !== "card") throw new ProtocolError("malformed", `Cannot serve peer: it is a ${role}`);
}

const busy = (why: string): ProtocolError => new ProtocolError("busy", `Cannot serve card: ${why}`);

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
