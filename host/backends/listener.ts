/**
 * Console backend that waits for clients on a UNIX or TCP socket (`nc -U PATH`, `socat -,raw,echo=0 UNIX:PATH`). All see
 * the same, and any may type. What the card prints while there is none is kept, the last 64 KiB, and given to the next;
 * a client too slow to follow loses output and sees where (`output_backlog.ts`). The card waits for the one who typed
 * last, if for any.
 *
 * There is no password: a UNIX socket is open to its owner only, and a TCP socket beyond loopback is refused unless
 * the caller insists.
 *
 * Needs `--allow-net=ADDR:PORT`, or `--allow-net=unix:PATH --allow-read=PATH --allow-write=PATH`.
 *
 * @module
 */
import { BackendError, isLoopback, pause } from "../../protocol/mod.ts";
import { OutputBacklog } from "./output_backlog.ts";
import { SocketClient } from "./_socket_client.ts";
import type { ConsoleBackend, ConsoleEvents } from "./types.ts";
import { onUnixSocket } from "./unix_socket.ts";

/** At once; each has its own backlog. */
const MAX_CLIENTS = 16;
const FULL = new TextEncoder().encode(
  `[knightsbridge: this console has ${MAX_CLIENTS} clients already]\r\n`,
);
/** Bytes taken at once of what no client has seen. */
const TAKE = 16 * 1024;
/** Time before accepting is tried again after it failed, ms. */
const ACCEPT_DELAY = 1_000;

/** Where to listen. */
export type ConsoleAddress =
  | { readonly transport: "tcp"; readonly hostname: string; readonly port: number }
  | { readonly transport: "unix"; readonly path: string };

/** Options of {@linkcode ListenerBackend.open}. */
export interface ListenerOptions {
  /** Listen for the whole network: whoever reaches the port has the card's console. */
  readonly insecure?: boolean;
}

/** A listening socket. */
export class ListenerBackend implements ConsoleBackend {
  readonly name: string;
  readonly size = undefined;
  /** The address, with the port that was really taken. */
  readonly address: ConsoleAddress;
  readonly #listener: Deno.Listener;
  /** What was shown while there was no client. */
  readonly #unseen = new OutputBacklog(() => {});
  readonly #clients: SocketClient[] = [];
  readonly #serving = new Set<Promise<void>>();
  #typist: SocketClient | undefined;
  #paced = true;
  #events: ConsoleEvents | undefined;
  #accepting: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();

  private constructor(listener: Deno.Listener, address: ConsoleAddress) {
    this.#listener = listener;
    this.address = address;
    this.name = address.transport === "unix"
      ? `unix:${address.path}`
      : `tcp:${bracketed(address.hostname)}:${address.port}`;
  }

  /**
   * @throws {BackendError} when the address is taken or may not be used
   * @throws {RangeError} for a TCP address beyond loopback without `insecure`
   */
  static async open(
    address: ConsoleAddress,
    options: ListenerOptions = {},
  ): Promise<ListenerBackend> {
    if (address.transport === "unix") {
      const act = `Cannot listen for a console on ${address.path}`;
      const listener = await onUnixSocket(
        address.path,
        act,
        (path) => Deno.listen({ transport: "unix", path }),
      );
      return new ListenerBackend(listener, address);
    }
    const { hostname, port } = address;
    if (!isLoopback(hostname) && !options.insecure) {
      throw new RangeError(
        `Cannot listen for a console on ${hostname}: it has no password and is not loopback; ` +
          `wanted 127.0.0.1, or --insecure`,
      );
    }
    try {
      const listener = Deno.listen({ hostname, port });
      return new ListenerBackend(listener, { ...address, port: listener.addr.port });
    } catch (cause) {
      const where = `${bracketed(hostname)}:${port}`;
      if (cause instanceof Deno.errors.AddrInUse) {
        throw new BackendError(`Cannot listen for a console on ${where}: the port is taken`, {
          cause,
        });
      }
      const reason = cause instanceof Error ? cause.message : cause;
      throw new BackendError(`Cannot listen for a console on ${where}: ${reason}`, { cause });
    }
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#closing.signal.aborted) return;
    if (this.#clients.length === 0) return this.#unseen.write(bytes);
    let wait: void | Promise<void> = undefined;
    for (const client of this.#clients) {
      const done = client.write(bytes);
      if (client === this.#typist) wait = done;
    }
    return wait;
  }

  open(events: ConsoleEvents): void {
    this.#events = events;
    this.#accepting = this.#accept();
  }

  resume(): void {
    for (const client of this.#clients) client.resume();
  }

  paced(on: boolean): void {
    this.#paced = on;
    this.#typed(this.#typist);
  }

  async #accept(): Promise<void> {
    for (;;) {
      let conn: Deno.Conn;
      try {
        conn = await this.#listener.accept();
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        // A client that left before its turn, or no descriptor free now, which would come again at once and spin.
        if (!leftAlready(error)) {
          await pause(ACCEPT_DELAY, this.#closing.signal);
        }
        continue;
      }
      // Or else the kernel keeps an echo back until the one before is acknowledged: 40 ms a key.
      if (conn.localAddr.transport === "tcp") (conn as Deno.TcpConn).setNoDelay(true);
      if (this.#clients.length < MAX_CLIENTS) {
        void this.#serve(conn);
      } else {
        await conn.write(FULL).catch(() => {});
        conn.close();
      }
    }
  }

  /** One client, until either side of it ends. */
  async #serve(conn: Deno.Conn): Promise<void> {
    const { promise: served, resolve: end } = Promise.withResolvers<void>();
    this.#serving.add(served);
    const client: SocketClient = new SocketClient(conn, (bytes) => {
      this.#typed(client);
      return this.#events?.input(bytes) ?? 0;
    });
    if (this.#clients.length === 0) this.#giveUnseen(client);
    this.#clients.push(client);
    this.#typed(this.#typist ?? client);
    await client.ended;
    this.#clients.splice(this.#clients.indexOf(client), 1);
    if (this.#typist === client) this.#typed(this.#clients[0]);
    this.#serving.delete(served);
    end();
  }

  #giveUnseen(client: SocketClient): void {
    this.#unseen.attach();
    const chunk = new Uint8Array(TAKE);
    for (let count = this.#unseen.take(chunk); count > 0; count = this.#unseen.take(chunk)) {
      void client.write(chunk.subarray(0, count));
    }
    this.#unseen.detach();
  }

  /** Who typed last is the one that the card waits for. */
  #typed(client: SocketClient | undefined): void {
    this.#typist = client;
    for (const each of this.#clients) each.paced = this.#paced && each === client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#listener.close();
    for (const client of this.#clients) client.hangUp();
    this.#unseen[Symbol.dispose]();
    await this.#accepting;
    await Promise.all(this.#serving);
  }
}

/** Linux gives out a connection that was reset, and then has no address for it. */
function leftAlready(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.NotConnected;
}

function bracketed(hostname: string): string {
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}
