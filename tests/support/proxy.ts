/**
 * A TCP proxy in this process, between a card and its host: slow, cut at any byte, or deaf, as a test wishes.
 *
 * What it forwards is never changed. A cut ends both sides; what was on the way is lost with it, as on a real network. An
 * end of stream is passed on, behind all that came before it.
 *
 * It stands on `node:net`, because a Deno.Conn cannot be reset.
 *
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { ProxyConnection } from "./proxy_connection.ts";

export type Direction = "cardToHost" | "hostToCard";

/**
 * How a connection ends: closed in good order (FIN); reset (RST); or not at all: nothing more is forwarded in the
 * direction of the cut, and neither end is told.
 */
export type Cut = "close" | "reset" | "stall";

export interface ProxyOptions {
  /** Time on the way, each way, ms. */
  readonly delay?: number;
  /** Bytes per second, each way, of each connection. */
  readonly rate?: number;
  /** Sees every byte in order just before it is forwarded. */
  readonly onBytes?: (direction: Direction, bytes: Uint8Array) => void;
}

interface PlannedCut {
  readonly direction: Direction;
  readonly at: number;
  readonly how: Cut;
  readonly done: () => void;
}

export class Proxy implements AsyncDisposable {
  /** Connections forwarded so far. */
  connections = 0;
  /** Bytes forwarded so far, over all connections. */
  readonly forwarded = { cardToHost: 0, hostToCard: 0 };
  readonly #options: ProxyOptions;
  readonly #hostPort: number;
  readonly #server: Server;
  readonly #open = new Set<ProxyConnection>();
  readonly #running = new Set<Promise<void>>();
  readonly #cuts: PlannedCut[] = [];
  readonly #refusals: { left: number; readonly done: () => void }[] = [];

  private constructor(hostPort: number, options: ProxyOptions) {
    this.#hostPort = hostPort;
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (card) => this.#take(card));
  }

  /** Listens; each card is connected to `hostPort` on 127.0.0.1. */
  static async start(hostPort: number, options: ProxyOptions = {}): Promise<Proxy> {
    const proxy = new Proxy(hostPort, options);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** Of the listening side, on 127.0.0.1. */
  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** Cuts every connection now. */
  cut(how: Exclude<Cut, "stall"> = "close"): void {
    for (const connection of this.#open) connection.end(how);
  }

  /** Cuts when `bytes` more have gone in `direction`, exactly there; resolves then. */
  cutAfter(direction: Direction, bytes: number, how: Cut = "close"): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#cuts.push({ direction, at: this.forwarded[direction] + bytes, how, done: resolve });
    return promise;
  }

  /** Forwards nothing more in `direction` on the connections of now, not even their end, until {@linkcode release}. */
  stall(direction: Direction): void {
    for (const connection of this.#open) connection.lanes[direction].stall();
  }

  /** What was stalled goes on: all of it arrives, late. */
  release(): void {
    for (const connection of this.#open) {
      for (const lane of Object.values(connection.lanes)) lane.release();
    }
  }

  /** Resolves when at most `count` connections are open. */
  async remaining(count: number): Promise<void> {
    while (this.#running.size > count) await Promise.race(this.#running);
  }

  /** Turns the next `count` connections away as soon as they are there; resolves after the last of them. */
  refuse(count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#refusals.push({ left: count, done: resolve });
    return promise;
  }

  #take(card: Socket): void {
    const refusal = this.#refusals[0];
    if (refusal !== undefined) {
      card.on("error", () => {}).destroy();
      if (--refusal.left === 0) this.#refusals.shift()!.done();
      return;
    }
    const running: Promise<void> = this.#serve(card).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #serve(card: Socket): Promise<void> {
    const host = connect({
      host: "127.0.0.1",
      port: this.#hostPort,
      allowHalfOpen: true,
      noDelay: true,
    });
    const connection: ProxyConnection = new ProxyConnection(card, host, {
      ...this.#options,
      forward: (direction, bytes) => this.#forward(connection, direction, bytes),
    });
    this.#open.add(connection);
    host.once("connect", () => this.connections++);
    await connection.run();
    this.#open.delete(connection);
  }

  /** Forwards `bytes`, or as many as a cut allows; returns how many. */
  async #forward(
    connection: ProxyConnection,
    direction: Direction,
    bytes: Uint8Array,
  ): Promise<number> {
    const start = this.forwarded[direction];
    const place = this.#cuts.findIndex((cut) =>
      cut.direction === direction && cut.at <= start + bytes.length
    );
    const cut = place < 0 ? undefined : this.#cuts.splice(place, 1)[0];
    const part = cut ? bytes.subarray(0, Math.max(0, cut.at - start)) : bytes;
    this.forwarded[direction] += part.length;
    this.#options.onBytes?.(direction, part);
    try {
      await connection.write(direction, part);
    } finally {
      if (cut?.how === "stall") connection.lanes[direction].stall();
      else if (cut) connection.end(cut.how);
      cut?.done();
    }
    return part.length;
  }

  /** Cuts what is connected and stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.cut();
    await Promise.all(this.#running);
    await closed;
  }
}
