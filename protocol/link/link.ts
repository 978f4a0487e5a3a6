/**
 * One session between two machines: exactly once and in order, over any number of transports.
 *
 * This is its life and its face; bytes move in {@linkcode Connection}, the bookkeeping is in {@linkcode Session}. Who
 * makes transports is elsewhere: `dial.ts` on the card, `server.ts` on the host.
 *
 * Once the link is closed, what is posted is dropped (as on a PCI Express link that is down) and what would wait
 * rejects with LinkError.
 *
 * @module
 */
import { LinkError, ProtocolError } from "../errors.ts";
import { Connection, type ConnectionOwner } from "./connection.ts";
import type { Credit } from "./credits.ts";
import { TYPE } from "./frame.ts";
import type { GoodbyeReason } from "./goodbye.ts";
import { type Greeting, IDENTITY_BYTES, isNewSession, VERSION } from "./greeting.ts";
import { agree, limitsOf, type LinkLimits } from "./limits.ts";
import type { LinkCounters, LinkOptions, LinkStatus } from "./options.ts";
import { INITIAL_SEQUENCE } from "./sequence.ts";
import { Session } from "./session.ts";
import { type LinkState, step } from "./states.ts";
import type { MessageCode, Requester, Span, Transport, Width } from "./types.ts";

export class Link implements Requester, AsyncDisposable, ConnectionOwner {
  /** Resolves when the link is closed and nothing of it runs any more. Never rejects. */
  readonly closed: Promise<void>;
  readonly #options: LinkOptions;
  readonly #limits: LinkLimits;
  readonly #session: Session;
  readonly #life = new AbortController();
  readonly #tasks = new Set<Promise<void>>();
  readonly #resolveClosed: () => void;
  #state: LinkState = "down";
  #sessionId: Uint8Array = new Uint8Array(IDENTITY_BYTES);
  #epoch = 0n;
  #peer: Greeting | undefined;
  #wasUp = false;
  #agreed: LinkLimits;
  #candidate: Transport | undefined;
  #connection: Connection | undefined;

  /** @throws {RangeError} for limits or an identity that cannot be */
  constructor(options: LinkOptions) {
    if (options.identity.length !== IDENTITY_BYTES) {
      throw new RangeError(
        `Cannot open link: identity is ${options.identity.length} bytes, wanted ${IDENTITY_BYTES}`,
      );
    }
    this.#options = options;
    this.#limits = this.#agreed = limitsOf(options.limits);
    this.#session = new Session(
      options.completer,
      this.#limits,
      () => this.#connection?.poke(),
      (error) => this.fail(error),
    );
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#resolveClosed = resolve;
  }

  get state(): LinkState {
    return this.#state;
  }
  get counters(): LinkCounters {
    return this.#session.counters;
  }
  /** What the peer lets this side send now. */
  get credit(): Credit {
    return this.#session.credit;
  }
  /** Bytes of buffers that the session has now: bounded, see protocol/README.md, "Memory". */
  get heldBytes(): number {
    return this.#session.heldBytes;
  }
  /** What the peer said of itself when the session began; undefined before. */
  get peer(): Greeting | undefined {
    return this.#peer;
  }
  /** The session has been live on some transport: both sides know of it. */
  get wasUp(): boolean {
    return this.#wasUp;
  }
  /** Aborted when the link is closed. */
  get signal(): AbortSignal {
    return this.#life.signal;
  }

  get maxPayload(): number {
    return this.#session.sender.maxPayload;
  }
  get writable(): boolean {
    return this.#session.writable;
  }
  /** On a link that closes before, nothing is resumed. */
  onWritable(resume: () => void, signal?: AbortSignal): void {
    this.#session.onWritable(resume, signal);
  }
  flush(): void {
    this.#connection?.flush();
  }
  postWrite(address: number, bytes: Uint8Array): void {
    this.#session.sender.postWrite(address, bytes);
  }
  openWrite(spans: readonly Span[]): Uint8Array {
    return this.#session.sender.openWrite(spans);
  }
  message(code: MessageCode, a: number, b = 0): void {
    this.#session.sender.message(code, a, b);
  }
  memoryRead(address: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#session.sender.memoryRead(address, length, signal);
  }
  configRead(register: number, width: Width, signal?: AbortSignal): Promise<number> {
    return this.#session.sender.access(TYPE.config_read, register, width, undefined, signal);
  }
  async configWrite(
    register: number,
    width: Width,
    value: number,
    signal?: AbortSignal,
  ): Promise<void> {
    await this.#session.sender.access(TYPE.config_write, register, width, value, signal);
  }
  ioRead(port: number, width: Width, signal?: AbortSignal): Promise<number> {
    return this.#session.sender.access(TYPE.io_read, port, width, undefined, signal);
  }
  async ioWrite(port: number, width: Width, value: number, signal?: AbortSignal): Promise<void> {
    await this.#session.sender.access(TYPE.io_write, port, width, value, signal);
  }

  /**
   * Says goodbye (what was posted before leaves first), then closes: pending requests reject with LinkError, and the
   * session is gone for good. Resolves as {@linkcode closed}. A second call only waits.
   */
  close(reason: GoodbyeReason, text = ""): Promise<void> {
    this.#leave(reason, text);
    return this.closed;
  }

  /** Ends in good order. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close("shutdown");
  }

  /** Ends the session for `error`: the peer's fault if it is a ProtocolError, else ours. */
  fail(error: unknown): void {
    const cause = error instanceof Error ? error : new TypeError(String(error));
    this.#leave(cause instanceof ProtocolError ? cause.reason : "internal", cause.message, cause);
  }

  /** The peer said goodbye, on a connection or in answer to our greeting. */
  goodbyeReceived(reason: GoodbyeReason, text: string): void {
    if (this.#ending) return;
    this.#state = step(this.#state, "close");
    this.#status({ type: "goodbye", direction: "received", reason, text });
    this.#finish(`peer said goodbye (${reason}): ${text}`);
  }

  /** Whether the peer is at the other end right now: asks it. One that does not answer in 2 s is lost. */
  async answers(): Promise<boolean> {
    return await this.#connection?.answers() ?? false;
  }

  /** @see ConnectionOwner */
  lost(error: LinkError): void {
    if (this.#state === "closing") return this.#finish("it was closed on this side");
    this.#connection?.stop();
    this.#connection = undefined;
    this.#state = step(this.#state, "lost");
    this.#status({ type: "lost", error });
  }

  /** `closed` waits for `task`, which must end soon after {@linkcode signal} is aborted and must not reject. */
  track(task: Promise<void>): Promise<void> {
    this.#tasks.add(task);
    void task.then(() => this.#tasks.delete(task));
    return task;
  }

  /**
   * The session gets its name, and both sides' limits hold from here on. The host calls it before its answer to
   * `peer`, the card's first greeting; the card gets there by {@linkcode attach}.
   */
  begin(session: Uint8Array, epoch: bigint, peer: Greeting): void {
    this.#sessionId = session;
    this.#epoch = epoch;
    this.#peer = peer;
    this.#agreed = agree(this.#limits, peer.limits);
    this.#session.adopt(this.#agreed, peer.limits);
  }

  /**
   * Leaves the transport in use, if any, and makes `transport` the only one that can follow. Returns our greeting,
   * which stays true until {@linkcode attach}.
   */
  prepare(transport: Transport): Greeting {
    this.#state = step(this.#state, "connected");
    this.#connection?.stop();
    this.#connection = undefined;
    this.#candidate = transport;
    return {
      ...VERSION,
      role: this.#options.role,
      features: 0n,
      identity: this.#options.identity,
      session: this.#sessionId,
      epoch: this.#epoch,
      received: this.#session.incoming.sequence,
      limits: this.#limits,
    };
  }

  /** The handshake on `transport` failed. */
  abandon(transport: Transport): void {
    if (this.#candidate !== transport) return;
    this.#candidate = undefined;
    if (this.#state === "greeting") this.#state = step(this.#state, "lost");
  }

  /**
   * Both greetings are through: replays what `peer` lacks and goes on, owning `transport`. Returns when it is done
   * with it; the promise is wrapped since it must be awaited apart from errors here.
   * @throws {ProtocolError} if the greeting does not fit this session
   * @throws {LinkError} if a newer transport has taken its place
   */
  attach(transport: Transport, peer: Greeting): { readonly ended: Promise<void> } {
    if (this.#candidate !== transport) {
      throw new LinkError("Cannot attach connection: another one took its place");
    }
    const resumed = this.#wasUp;
    this.#checkSession(peer, resumed);
    const replayed = this.#session.outgoing.rewind(peer.received);
    if (resumed) {
      this.counters.reconnects++;
      this.counters.framesReplayed += replayed;
    } else if (this.#options.role === "card") {
      this.begin(peer.session, peer.epoch, peer);
    }
    this.#wasUp = true;
    this.#session.reader.reset();
    this.#candidate = undefined;
    this.#state = step(this.#state, "agreed");
    const connection = new Connection(transport, this.#session, this, this.#agreed);
    this.#connection = connection;
    this.#status({ type: "up", resumed, peer: transport.peer });
    return { ended: this.track(connection.run()) };
  }

  #checkSession(peer: Greeting, resumed: boolean): void {
    if (peer.role === this.#options.role) {
      throw new ProtocolError("malformed", `Cannot greet peer: it is a ${peer.role} as well`);
    }
    if (!resumed && peer.received !== INITIAL_SEQUENCE) {
      throw new ProtocolError("sequence", "Cannot begin session: peer received frames before it");
    }
    if (this.#options.role === "host") return;
    if (isNewSession(peer)) {
      throw new ProtocolError("malformed", "Cannot greet host: it named no session");
    }
    if (resumed && !peer.session.every((byte, i) => byte === this.#sessionId[i])) {
      throw new ProtocolError("session", "Cannot resume session: host answered with another one");
    }
  }

  get #ending(): boolean {
    return this.#state === "closing" || this.#state === "closed";
  }

  #status(event: LinkStatus): void {
    this.#options.onStatus?.(event);
  }

  #leave(reason: GoodbyeReason, text: string, error?: Error): void {
    if (this.#ending) return;
    const connection = this.#connection;
    this.#state = step(this.#state, "close");
    this.#session.sender.closed = true;
    if (connection || error) {
      this.#status({
        type: "goodbye",
        direction: "sent",
        reason,
        text,
        ...(error && { error }),
      });
    }
    if (connection) connection.leave(reason, text);
    else this.#finish("it was closed on this side");
  }

  #finish(why: string): void {
    this.#state = step(this.#state, "done");
    this.#connection?.stop();
    this.#connection = this.#candidate = undefined;
    const cause = new LinkError(`Cannot go on waiting: link is closed, ${why}`);
    this.#session.end(cause);
    this.#life.abort(cause);
    this.#status({ type: "closed" });
    void Promise.all(this.#tasks).then(this.#resolveClosed);
  }
}
