/**
 * TCP with TLS: who dials and who listens take only peers whose certificate they trust (protocol/README.md, "Identity").
 *
 * @module
 */
import { LinkError } from "../errors.ts";
import type { Identity } from "./certificate.ts";
import { CROWDED, Door } from "./door.ts";
import { refuse } from "./handshake.ts";
import { dialTcp, listenTcp, type TcpListener } from "./tcp.ts";
import { secureTransport, type TlsTransport } from "./tls_transport.ts";
import type { Transport } from "./types.ts";

export interface TlsOptions {
  /** Shown to the peer. */
  readonly identity: Identity;
  /** Whether a peer whose certificate has this fingerprint is one of ours. Asked for each connection. */
  trusts(fingerprint: string): boolean | Promise<boolean>;
}

/** A peer that was turned away before a byte of it was looked at. */
export interface Refusal {
  readonly peer: string;
  /** Undefined if it proved none. */
  readonly fingerprint: string | undefined;
  /** One sentence: why, and what to do. */
  readonly text: string;
}

export interface TlsListenOptions extends TlsOptions {
  /** Called synchronously; must not throw. */
  readonly onRefused?: (refusal: Refusal) => void;
}

/** Trusted connections that nobody has taken yet, at most. */
const MAX_READY = 64;

/** Connects to a listening host. @throws {LinkError} naming the address and the cause; also if it is not trusted */
export async function dialTls(
  hostname: string,
  port: number,
  options: TlsOptions,
  signal: AbortSignal,
): Promise<TlsTransport> {
  const below = await dialTcp(hostname, port, signal);
  const transport = await secureTransport(below, "card", options.identity, signal);
  try {
    if (await options.trusts(transport.fingerprint)) return transport;
    throw new LinkError(
      `Cannot trust the host at ${transport.peer}: its certificate ${transport.fingerprint} is of no host ` +
        `that this card was paired with`,
    );
  } catch (error) {
    transport.close();
    throw error;
  }
}

/** @throws {LinkError} naming the address and the cause: taken, not ours, not permitted */
export function listenTls(
  hostname: string,
  port: number,
  options: TlsListenOptions,
): TlsListener {
  return new TlsListener(listenTcp(hostname, port), options);
}

/** Handshakes go on side by side; what comes out of {@linkcode accept} is trusted. */
export class TlsListener implements TcpListener {
  readonly hostname: string;
  readonly port: number;
  readonly #tcp: TcpListener;
  readonly #options: TlsListenOptions;
  /** Those in their handshake, or being refused. */
  readonly #door = new Door();
  readonly #ready: TlsTransport[] = [];
  /** What goes on with those. */
  readonly #admitting = new Set<Promise<void>>();
  #accepting: Promise<void> | undefined;
  #readied = Promise.withResolvers<void>();
  #closed = false;

  constructor(tcp: TcpListener, options: TlsListenOptions) {
    this.#tcp = tcp;
    this.#options = options;
    this.hostname = tcp.hostname;
    this.port = tcp.port;
  }

  async accept(): Promise<TlsTransport | undefined> {
    for (;;) {
      const transport = this.#ready.shift();
      if (transport || this.#closed) return transport;
      this.#readied = Promise.withResolvers();
      this.#accepting ??= this.#acceptOne();
      // Whichever loses is looked at again by the next call.
      this.#accepting.catch(() => {});
      await Promise.race([this.#accepting, this.#readied.promise]);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#tcp.close();
    this.#door.closeAll();
    for (const transport of this.#ready.splice(0)) transport.close();
  }

  /** Resolves when nothing goes on any more with connections that nobody has taken. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#accepting?.catch(() => {});
    await Promise.all(this.#admitting);
  }

  /** Resolves when a connection came in and its handshake has begun. */
  async #acceptOne(): Promise<void> {
    try {
      const below = await this.#tcp.accept();
      if (!below) return;
      const admitted = this.#admit(below);
      this.#admitting.add(admitted);
      void admitted.then(() => this.#admitting.delete(admitted));
    } finally {
      this.#accepting = undefined;
    }
  }

  /** Never rejects. */
  async #admit(below: Transport): Promise<void> {
    const { identity, trusts, onRefused } = this.#options;
    const { peer } = below;
    let transport: TlsTransport | undefined;
    const evicted = this.#door.enter(below);
    if (evicted) onRefused?.({ peer: evicted.peer, fingerprint: undefined, text: CROWDED });
    try {
      transport = await secureTransport(below, "host", identity);
      const { fingerprint } = transport;
      if (await trusts(fingerprint)) {
        if (this.#closed || this.#ready.length >= MAX_READY) return transport.close();
        this.#ready.push(transport);
        this.#readied.resolve();
        return;
      }
      const text = `Cannot serve card: its certificate ${fingerprint} is not trusted here; ` +
        `pair it with "deno task host --pair"`;
      onRefused?.({ peer, fingerprint, text });
      await refuse(transport, "identity", text);
    } catch (error) {
      transport?.close();
      // Who was closed for a newer connection has been told of.
      if (this.#closed || !this.#door.holds(below)) return;
      const { message: text } = error as Error;
      onRefused?.({ peer, fingerprint: transport?.fingerprint, text });
    } finally {
      this.#door.leave(below);
    }
  }
}
