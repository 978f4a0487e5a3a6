/**
 * TLS over any transport: the bytes of one transport through `node:tls` into another. Between host and card it is 1.3, both
 * sides with a certificate.
 *
 * `node:tls` on a socket of its own reads ahead without end (Deno 2.9.6). Here it has no socket: this file feeds it what
 * it reads below, and reads no more while {@linkcode READ_AHEAD} bytes wait, so back-pressure reaches the network.
 *
 * Whom a card's or a host's certificate belongs to is the caller's question. The handshake proves that the peer has its key, no more: no
 * authority is asked, and none would be believed (verified with Deno 2.9.6 on both sides by `link_tls_test.ts`).
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { Duplex } from "node:stream";
import { connect, type ConnectionOptions, createServer, type TLSSocket } from "node:tls";
import { LinkError } from "../errors.ts";
import { CERTIFICATE_NAME, fingerprintOf, type Identity } from "./certificate.ts";
import { refuse } from "./handshake.ts";
import type { Transport } from "./types.ts";

/** A TLS connection. */
export interface TlsTransport extends Transport {
  /** SHA-256 of the certificate whose key the peer proved to have: 64 hexadecimal digits. */
  readonly fingerprint: string;
}

/** Bytes taken from below at once. */
const READ_BYTES = 64 * 1024;
/** Clear bytes that may wait before no more is read below; at most one read more does. */
const READ_AHEAD = 128 * 1024;
/** First byte of a TLS stream: the type of its first record, handshake or alert (RFC 8446 §5.1). */
const TLS_TYPES: readonly (number | undefined)[] = [22, 21];
/** Time for the whole handshake, ms. */
const HANDSHAKE_TIMEOUT = 10_000;

/**
 * Makes a TLS connection over `below`, which it owns from now on. The card is TLS's client, the host its server.
 * @throws {LinkError} if the handshake fails or `signal` is aborted; `below` is closed then
 */
export async function secureTransport(
  below: Transport,
  role: "host" | "card",
  identity: Identity,
  signal?: AbortSignal,
): Promise<TlsTransport> {
  const transport = new TlsConnection(below);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    transport.close();
  }, HANDSHAKE_TIMEOUT);
  const abort = () => transport.close();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    if (signal?.aborted) transport.close();
    await transport.handshake(role, identity);
    return transport;
  } catch (error) {
    if (error instanceof NotTls && role === "host") {
      await refuse(below, "identity", "Cannot serve card: this host speaks TLS only");
    }
    transport.close();
    const why = late ? `it took longer than ${HANDSHAKE_TIMEOUT} ms` : (error as Error).message;
    throw new LinkError(`Cannot agree on TLS with ${below.peer}: ${why}`, { cause: error });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/** What a client of a server that authorities vouch for needs. */
export interface TlsServerOptions {
  /** DNS name or IP address that the server's certificate must have. */
  readonly name: string;
  /** PEM: who may have signed it; Deno's own authorities without. */
  readonly authorities?: string;
  /** PEM: shown to a server that asks for it. */
  readonly client?: { readonly certificate: string; readonly key: string };
}

/**
 * TLS 1.2 or later over `below`, to a server known as the rest of the world knows its servers: by a name in a certificate
 * that an authority signed. It owns `below` from now on; closing that ends a handshake that takes too long.
 * @throws {LinkError} if the handshake fails or the server is not to be trusted; `below` is closed then
 */
export async function secureClient(
  below: Transport,
  options: TlsServerOptions,
): Promise<Transport> {
  const { name, authorities, client } = options;
  const transport = new TlsConnection(below);
  try {
    await transport.connect({
      ...(authorities !== undefined && { ca: authorities }),
      ...(client && { cert: client.certificate, key: client.key }),
      // An address is no server name to TLS (RFC 6066 §3), but is looked for in the certificate all the same.
      ...(isIP(name) === 0 ? { servername: name } : { host: name }),
      minVersion: "TLSv1.2",
    });
    return transport;
  } catch (error) {
    transport.close();
    throw new LinkError(`Cannot agree on TLS with ${below.peer}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** What came first from below was not TLS. */
class NotTls extends LinkError {}

/** What `node:tls` takes for its network: what is pushed came from below, what it writes goes below. */
class Below extends Duplex {
  readonly #transport: Transport;
  constructor(transport: Transport) {
    super();
    this.#transport = transport;
  }
  /** Nothing is read on demand: bytes are pushed as they come. */
  override _read(): void {}
  override _write(bytes: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.#transport.write(bytes).then(() => done(), done);
  }
}

class TlsConnection implements TlsTransport {
  readonly peer: string;
  fingerprint = "";
  readonly #below: Transport;
  readonly #stream: Below;
  #socket: TLSSocket | undefined;
  /** Clear bytes that wait for a reader. */
  readonly #chunks: Uint8Array[] = [];
  #waiting = 0;
  /** Set once nothing more will come. */
  #end: { readonly error?: Error } | undefined;
  #closed = false;
  #wakeReader: (() => void) | undefined;
  #wakePump: (() => void) | undefined;
  /** Ends whatever waits for the handshake or for a write. */
  readonly #failed = new Set<(error: Error) => void>();

  constructor(below: Transport) {
    this.#below = below;
    this.peer = below.peer;
    this.#stream = new Below(below);
    this.#stream.on("error", (error) => this.#finish(error));
  }

  async handshake(role: "host" | "card", identity: Identity): Promise<void> {
    const options = {
      cert: identity.certificate,
      key: identity.key,
      minVersion: "TLSv1.3",
      // Not who signed the certificate counts, but which one it is.
      rejectUnauthorized: false,
    } as const;
    if (role === "card") await this.connect({ ...options, servername: CERTIFICATE_NAME });
    else {
      await this.#settled((resolve, reject) => {
        const server = createServer({ ...options, requestCert: true });
        server.once("tlsClientError", reject);
        server.once("secureConnection", (socket) => {
          this.#follow(socket);
          resolve();
        });
        server.emit("connection", this.#stream);
        void this.#pump();
      });
    }
    const certificate = this.#socket!.getPeerCertificate()?.raw;
    if (!certificate) throw new LinkError("it showed no certificate");
    this.fingerprint = await fingerprintOf(Uint8Array.from(certificate));
  }

  /** As TLS's client. */
  async connect(options: ConnectionOptions): Promise<void> {
    await this.#settled((resolve) => {
      const socket = connect({ ...options, socket: this.#stream });
      socket.once("secureConnect", resolve);
      this.#follow(socket);
      void this.#pump();
    });
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0) {
      if (this.#closed) throw this.#failure("read from", "connection closed on this side");
      if (this.#end?.error) throw this.#failure("read from", this.#end.error.message);
      if (this.#end) return null;
      await new Promise<void>((resolve) => this.#wakeReader = resolve);
    }
    const chunk = this.#chunks[0]!;
    const count = Math.min(chunk.length, into.length);
    into.set(chunk.subarray(0, count));
    if (count === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(count);
    this.#waiting -= count;
    if (this.#waiting < READ_AHEAD) this.#wakePump?.();
    return count;
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#settled((resolve, reject) => {
        this.#socket!.write(bytes, (error) => error ? reject(error) : resolve());
      });
    } catch (error) {
      throw this.#failure("write to", (error as Error).message, error);
    }
  }

  /** Without TLS's close_notify: an end of stream means nothing to a link, only the goodbye before it does. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#below.close();
    this.#finish(new LinkError("connection closed on this side"));
    this.#socket?.destroy();
    this.#stream.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  /** Feeds TLS from below until the end. */
  async #pump(): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    try {
      for (let first = true; !this.#end; first = false) {
        const count = await this.#below.read(buffer);
        if (count === null) break;
        if (first && !TLS_TYPES.includes(buffer[0])) throw new NotTls("it does not speak TLS");
        this.#stream.push(Buffer.from(buffer.slice(0, count).buffer));
        while (this.#waiting >= READ_AHEAD && !this.#end) {
          await new Promise<void>((resolve) => this.#wakePump = resolve);
        }
      }
      this.#finish();
    } catch (error) {
      this.#finish(error as Error);
    }
  }

  #follow(socket: TLSSocket): void {
    this.#socket = socket;
    socket.on("data", (bytes: Uint8Array) => {
      this.#chunks.push(bytes);
      this.#waiting += bytes.length;
      this.#wakeReader?.();
    });
    socket.on("end", () => this.#finish());
    socket.on("error", (error) => this.#finish(error));
    socket.on("close", () => this.#finish());
  }

  /** A promise that fails with the connection. */
  #settled(start: (resolve: () => void, reject: (error: Error) => void) => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#failed.add(reject);
    if (this.#end) reject(this.#end.error ?? new LinkError("connection closed"));
    else start(resolve, reject);
    return promise.finally(() => this.#failed.delete(reject));
  }

  #finish(error?: Error): void {
    if (this.#end) return;
    this.#end = error ? { error } : {};
    for (const fail of this.#failed) fail(error ?? new LinkError("connection closed"));
    this.#wakeReader?.();
    this.#wakePump?.();
  }

  #failure(act: string, what: string, cause?: unknown): LinkError {
    return new LinkError(`Cannot ${act} ${this.peer}: ${what}`, { cause });
  }
}
