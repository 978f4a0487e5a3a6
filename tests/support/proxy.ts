/**
 * A TCP proxy in this process, between a card and its host: slow, cut at any byte, or deaf, as a test wishes.
 *
 * What it forwards is never changed. A cut closes both sides; what was on the way is lost with it, as on a real network.
 *
 * @module
 */
import { pause } from "../../protocol/link/abortable.ts";

export type Direction = "cardToHost" | "hostToCard";

export interface ProxyOptions {
  /** Time on the way, each way, ms. */
  readonly delay?: number;
  /** Sees every byte in order just before it is forwarded. */
  readonly onBytes?: (direction: Direction, bytes: Uint8Array) => void;
}

/** Bytes on the way in one direction before the proxy stops reading. */
const IN_FLIGHT_MAX = 16 * 1024 * 1024;

export class Proxy implements AsyncDisposable {
  /** Of the listening side, on 127.0.0.1. */
  readonly port: number;
  /** Connections forwarded so far. */
  connections = 0;
  /** Bytes forwarded so far, over all connections. */
  readonly forwarded = { cardToHost: 0, hostToCard: 0 };
  readonly #options: ProxyOptions;
  readonly #hostPort: number;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Connection>();
  readonly #running = new Set<Promise<void>>();
  readonly #cuts: {
    readonly direction: Direction;
    readonly at: number;
    readonly done: () => void;
  }[] = [];
  readonly #refusals: { left: number; readonly done: () => void }[] = [];
  readonly #accepting: Promise<void>;

  /** Listens at once; each card is connected to `hostPort` on 127.0.0.1. */
  constructor(hostPort: number, options: ProxyOptions = {}) {
    this.#hostPort = hostPort;
    this.#options = options;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#accepting = this.#accept();
  }

  /** Cuts every connection now. */
  cut(): void {
    for (const connection of this.#open) connection.close();
  }

  /** Cuts when `bytes` more have gone in `direction`, exactly there; resolves then. */
  cutAfter(direction: Direction, bytes: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#cuts.push({ direction, at: this.forwarded[direction] + bytes, done: resolve });
    return promise;
  }

  /** Turns the next `count` connections away as soon as they are there; resolves after the last of them. */
  refuse(count: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#refusals.push({ left: count, done: resolve });
    return promise;
  }

  async #accept(): Promise<void> {
    for await (const card of this.#listener) {
      const refusal = this.#refusals[0];
      if (refusal !== undefined) {
        card.close();
        if (--refusal.left === 0) this.#refusals.shift()!.done();
        continue;
      }
      const running: Promise<void> = this.#serve(card).finally(() => this.#running.delete(running));
      this.#running.add(running);
    }
  }

  async #serve(card: Deno.TcpConn): Promise<void> {
    let host: Deno.TcpConn;
    try {
      host = await Deno.connect({ hostname: "127.0.0.1", port: this.#hostPort });
    } catch {
      return card.close(); // no host: the card finds out as it would without us
    }
    card.setNoDelay(true);
    host.setNoDelay(true);
    this.connections++;
    const connection = new Connection(card, host);
    this.#open.add(connection);
    await Promise.all([
      this.#carry("cardToHost", connection, card, host),
      this.#carry("hostToCard", connection, host, card),
    ]);
    this.#open.delete(connection);
  }

  /** One direction of a connection, until it ends; then the connection is closed. */
  async #carry(
    direction: Direction,
    connection: Connection,
    from: Deno.TcpConn,
    to: Deno.TcpConn,
  ): Promise<void> {
    const road = new Road();
    const reading = this.#read(from, road);
    try {
      for (let piece = await road.next(); piece !== undefined; piece = await road.next()) {
        const wait = piece.due - performance.now();
        if (wait > 0) await pause(wait, connection.signal);
        if (!await this.#forward(direction, piece.bytes, to)) break;
      }
    } catch {
      // Closed by the far side, or cut.
    }
    connection.close();
    road.end();
    await reading;
  }

  async #read(from: Deno.TcpConn, road: Road): Promise<void> {
    const { delay = 0 } = this.#options;
    const buffer = new Uint8Array(256 * 1024);
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) break;
        road.put({ due: performance.now() + delay, bytes: buffer.slice(0, count) });
        await road.hasRoom();
      }
    } catch {
      // Closed by the far side, or cut.
    }
    road.end();
  }

  /** False after a cut within `bytes`. */
  async #forward(
    direction: Direction,
    bytes: Uint8Array,
    to: Deno.TcpConn,
  ): Promise<boolean> {
    const start = this.forwarded[direction];
    const place = this.#cuts.findIndex((cut) =>
      cut.direction === direction && cut.at <= start + bytes.length
    );
    const cut = place < 0 ? undefined : this.#cuts.splice(place, 1)[0];
    const part = cut ? bytes.subarray(0, Math.max(0, cut.at - start)) : bytes;
    this.forwarded[direction] += part.length;
    this.#options.onBytes?.(direction, part);
    try {
      for (let at = 0; at < part.length;) at += await to.write(part.subarray(at));
    } finally {
      cut?.done();
    }
    return cut === undefined;
  }

  /** Cuts what is connected and stops listening. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    this.cut();
    await Promise.all(this.#running);
  }
}

class Connection {
  readonly #ends: readonly Deno.TcpConn[];
  readonly #closed = new AbortController();

  constructor(card: Deno.TcpConn, host: Deno.TcpConn) {
    this.#ends = [card, host];
  }

  /** Aborted once closed. */
  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  close(): void {
    if (this.signal.aborted) return;
    this.#closed.abort();
    for (const end of this.#ends) end.close();
  }
}

interface Piece {
  /** When it leaves, `performance.now()`. */
  readonly due: number;
  readonly bytes: Uint8Array;
}

/** What is on the way in one direction, in order. One reader, one writer. */
class Road {
  readonly #pieces: Piece[] = [];
  #bytes = 0;
  #ended = false;
  #wakeWriter: () => void = () => {};
  #wakeReader: () => void = () => {};

  put(piece: Piece): void {
    this.#pieces.push(piece);
    this.#bytes += piece.bytes.length;
    this.#wakeWriter();
  }

  /** The first piece; undefined after the last one. */
  async next(): Promise<Piece | undefined> {
    if (this.#pieces.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => this.#wakeWriter = resolve);
    }
    const piece = this.#pieces.shift();
    this.#bytes -= piece?.bytes.length ?? 0;
    this.#wakeReader();
    return piece;
  }

  async hasRoom(): Promise<void> {
    if (this.#bytes > IN_FLIGHT_MAX && !this.#ended) {
      await new Promise<void>((resolve) => this.#wakeReader = resolve);
    }
  }

  end(): void {
    this.#ended = true;
    this.#wakeWriter();
    this.#wakeReader();
  }
}
