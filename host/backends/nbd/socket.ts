/**
 * The socket to an NBD server, TCP or UNIX.
 *
 * @module
 */
import { dialTcp, LinkError, type Transport } from "../../../protocol/mod.ts";
import type { NbdAddress } from "./uri.ts";

/** @throws {LinkError} naming the address and the cause */
export async function dialNbd(address: NbdAddress, signal: AbortSignal): Promise<Transport> {
  if (address.transport === "tcp") return await dialTcp(address.hostname, address.port, signal);
  try {
    return new UnixTransport(await Deno.connect(address), address.path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new LinkError(`Cannot connect to ${address.path}: ${reason}`, { cause });
  }
}

class UnixTransport implements Transport {
  readonly peer: string;
  readonly #conn: Deno.UnixConn;
  #closed = false;

  constructor(conn: Deno.UnixConn, path: string) {
    this.#conn = conn;
    this.peer = path;
  }

  async read(into: Uint8Array): Promise<number | null> {
    try {
      return await this.#conn.read(into);
    } catch (cause) {
      throw this.#failure("read from", cause);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        done += await this.#conn.write(bytes.subarray(done));
      }
    } catch (cause) {
      throw this.#failure("write to", cause);
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

  #failure(act: string, cause: unknown): LinkError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const what = this.#closed ? "connection closed on this side" : reason;
    return new LinkError(`Cannot ${act} ${this.peer}: ${what}`, { cause });
  }
}
