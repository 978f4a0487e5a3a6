/**
 * The TCP transport: the only file of this room that touches `Deno`. TLS stands on it (`tls.ts`).
 *
 * Nagle's algorithm is off: a batch is one write, and nothing is gained by waiting for the next.
 *
 * @module
 */
import { LinkError } from "../errors.ts";
import type { Transport } from "./types.ts";

class TcpTransport implements Transport {
  readonly peer: string;
  readonly #conn: Deno.TcpConn;
  #closed = false;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    const { hostname, port } = conn.remoteAddr;
    this.peer = addressText(hostname, port);
    conn.setNoDelay(true);
    conn.setKeepAlive(true);
  }

  async read(into: Uint8Array): Promise<number | null> {
    try {
      return await this.#conn.read(into);
    } catch (error) {
      throw this.#failure("read from", error);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        done += await this.#conn.write(done === 0 ? bytes : bytes.subarray(done));
      }
    } catch (error) {
      throw this.#failure("write to", error);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #failure(act: string, error: unknown): LinkError {
    const what = this.#closed ? "connection closed on this side" : messageOf(error);
    return new LinkError(`Cannot ${act} ${this.peer}: ${what}`, { cause: error });
  }
}

/** Connects to a listening host. @throws {LinkError} naming the address and the cause */
export async function dialTcp(
  hostname: string,
  port: number,
  signal: AbortSignal,
): Promise<Transport> {
  try {
    return new TcpTransport(await Deno.connect({ hostname, port, signal }));
  } catch (error) {
    throw new LinkError(
      `Cannot connect to ${addressText(hostname, port)}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** A listening socket. */
export interface TcpListener extends AsyncDisposable {
  readonly hostname: string;
  /** The real one, where 0 was asked for. */
  readonly port: number;
  /** Next connection that is still there; undefined once the listener is closed. @throws {LinkError} */
  accept(): Promise<Transport | undefined>;
  /** Idempotent. */
  close(): void;
}

/** @throws {LinkError} naming the address and the cause: taken, not ours, not permitted */
export function listenTcp(hostname: string, port: number): TcpListener {
  let listener: Deno.TcpListener;
  try {
    listener = Deno.listen({ hostname, port });
  } catch (error) {
    throw new LinkError(
      `Cannot listen on ${addressText(hostname, port)}: ${messageOf(error)}`,
      { cause: error },
    );
  }
  let closed = false;
  const close = () => {
    if (closed) return;
    closed = true;
    listener.close();
  };
  return {
    hostname: listener.addr.hostname,
    port: listener.addr.port,
    async accept() {
      for (;;) {
        try {
          return new TcpTransport(await listener.accept());
        } catch (error) {
          if (closed) return undefined;
          if (leftAlready(error)) continue;
          throw new LinkError(`Cannot accept connection: ${messageOf(error)}`, { cause: error });
        }
      }
    },
    close,
    [Symbol.asyncDispose]() {
      close();
      return Promise.resolve();
    },
  };
}

/** The peer reset the connection before its turn came: nothing is wrong here, and the next one may be honest. */
const leftAlready = (error: unknown): boolean =>
  error instanceof Deno.errors.NotConnected || error instanceof Deno.errors.ConnectionAborted;

const addressText = (hostname: string, port: number): string =>
  hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;

function messageOf(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) return "the port is taken";
  return error instanceof Error ? error.message : String(error);
}
