/**
 * Console backend that waits for a client on a UNIX or TCP socket (`nc -U PATH`, `socat -,raw,echo=0 UNIX:PATH`). One
 * client at a time: a second one is told so and let go. What the card prints while there is none is kept, the last
 * 64 KiB, and given to the next; a client too slow to follow loses output and sees where (`output_backlog.ts`).
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
import { InputGate } from "./_input_gate.ts";
import { unixListener } from "./_unix_listener.ts";
import type { ConsoleBackend, ConsoleEvents } from "./types.ts";

const BUSY = new TextEncoder().encode("[knightsbridge: this console is in use]\r\n");
const CHUNK = 16 * 1024;
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
  readonly #gate = new InputGate();
  readonly #backlog = new OutputBacklog(() => this.#wake());
  #client: Deno.Conn | undefined;
  #serving: Promise<void> = Promise.resolve();
  #accepting: Promise<void> = Promise.resolve();
  #wake: () => void = () => {};
  #hangUp: () => void = () => {};
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
      return new ListenerBackend(await unixListener(address.path), address);
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
    if (!this.#closing.signal.aborted) return this.#backlog.write(bytes);
  }

  open(events: ConsoleEvents): void {
    this.#gate.open(events);
    this.#accepting = this.#accept();
  }

  resume(): void {
    this.#gate.resume();
  }

  paced(on: boolean): void {
    this.#backlog.paced = on;
  }

  async #accept(): Promise<void> {
    for (;;) {
      let client: Deno.Conn;
      try {
        client = await this.#listener.accept();
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        // A client that left before its turn, or no descriptor free now, which would come again at once and spin.
        if (!leftAlready(error)) {
          await pause(ACCEPT_DELAY, this.#closing.signal);
        }
        continue;
      }
      // Or else the kernel keeps an echo back until the one before is acknowledged: 40 ms a key.
      if (client.localAddr.transport === "tcp") (client as Deno.TcpConn).setNoDelay(true);
      if (this.#client === undefined) {
        this.#client = client;
        this.#serving = this.#serve(client);
      } else {
        await client.write(BUSY).catch(() => {});
        client.close();
      }
    }
  }

  /** One client, until either side of it ends. */
  async #serve(client: Deno.Conn): Promise<void> {
    let connected = true;
    const hangUp = () => {
      if (!connected) return;
      connected = false;
      client.close();
      this.#gate.drop();
      this.#wake();
    };
    this.#hangUp = hangUp;
    this.#backlog.attach();
    await Promise.all([
      this.#input(client).then(hangUp),
      this.#output(client, () => connected).then(hangUp),
    ]);
    this.#backlog.detach();
    this.#client = undefined;
  }

  async #input(client: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(4096);
    try {
      for (;;) {
        const count = await client.read(buffer);
        if (count === null) return;
        await this.#gate.offer(buffer.subarray(0, count));
      }
    } catch {
      // Reset by the client, or closed by us.
    }
  }

  async #output(client: Deno.Conn, connected: () => boolean): Promise<void> {
    const chunk = new Uint8Array(CHUNK);
    try {
      while (connected()) {
        const count = this.#backlog.take(chunk);
        if (count === 0) await new Promise<void>((resolve) => this.#wake = resolve);
        for (let at = 0; at < count;) at += await client.write(chunk.subarray(at, count));
      }
    } catch {
      // Reset by the client, or closed by us.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#listener.close();
    this.#gate[Symbol.dispose]();
    this.#hangUp();
    this.#backlog[Symbol.dispose]();
    await this.#accepting;
    await this.#serving;
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
