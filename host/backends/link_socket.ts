/**
 * The socket of a card's link, read and written by system calls of our own.
 *
 * A card that asks for one thing after the other waits each time until this process has been woken: on one machine that
 * is a third of the round trip. So while answers come as fast as one another, `read` looks at the socket again and
 * again for a moment before it sleeps, and writes go out without a turn of the event loop. Where the last wait was a
 * long one, or another connection is heard as well, nothing is polled. (QEMU's `poll-max-ns` and the kernel's
 * `halt_poll_ns` are the same trade.)
 *
 * The event loop must turn: timers, other sockets and the backends are served by it alone. So at most
 * {@linkcode TURN_MS} pass from one real wait to the next.
 *
 * Deno gives no descriptor away: it is looked for by its two addresses. One that is not found (IPv6, or no
 * `--allow-ffi`) is left as it is. Deno's own reads and writes stay as good as before in between: its sockets do not
 * block, and both sides make the same calls.
 *
 * **Budget:** 0.15 us a request at depth 32 (tests/bench/README.md, "Budgets").
 *
 * @module
 */
import {
  isLoopback,
  LinkError,
  type TcpListener,
  type Transport,
  viewOf,
} from "../../protocol/mod.ts";
import { ERRNO, errorText } from "./_errno.ts";
import { type Libc, openLibc } from "./_libc.ts";

/** Longest time to poll before sleeping, ms: a wait that is over by then is shorter than to be woken up. */
const POLL_MS = 0.1;
/** A wait that took no longer, waking up included, is followed by polling, ms: the next one is likely to be as short. */
const SHORT_MS = 0.15;
/** Time in which no real wait gives the event loop its turn, ms. */
const TURN_MS = 1;

/**
 * Within a machine nothing is congested: pacing, as BBR does it (the default of some systems), halves what loopback
 * carries. Every kernel has this one, for everybody.
 */
const RENO = new TextEncoder().encode("reno");
const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;

const AF_INET = 2;
const SOCKADDR_SIZE = 16;
const SOCKADDR_AT = { port: 2, address: 4 } as const;
/** Descriptors that are looked at: a process may have more, but hardly when its cards come. */
const MAX_DESCRIPTOR = 1024;

/** Accepts what `listener` accepts, whose connections must be plain TCP. Without `--allow-ffi` it is `listener` itself. */
export function pollConnections(listener: TcpListener): TcpListener {
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return listener;
  return {
    hostname: listener.hostname,
    port: listener.port,
    async accept() {
      const transport = await listener.accept();
      return transport && (LinkSocket.over(transport, listener.port) ?? transport);
    },
    close() {
      listener.close();
    },
    [Symbol.asyncDispose]() {
      return listener[Symbol.asyncDispose]();
    },
  };
}

/** The connection that was heard last. */
let heard: LinkSocket | undefined;
/** When the event loop had its last turn, as far as reads here know. */
let turned = 0;

class LinkSocket implements Transport {
  readonly peer: string;
  readonly #below: Transport;
  readonly #fd: number;
  readonly #libc: Libc;
  /** Once it is closed the number may be another file's. */
  #closed = false;
  #writing = false;
  /** The last wait was short. */
  #short = false;

  /** Undefined if the descriptor of `below`, a connection to our `port`, is not found. */
  static over(below: Transport, port: number): LinkSocket | undefined {
    const libc = openLibc();
    const fd = findDescriptor(libc, below.peer, port);
    if (fd !== undefined) {
      if (isLoopback(below.peer.slice(0, below.peer.lastIndexOf(":")))) {
        libc.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, RENO);
      }
      return new LinkSocket(below, fd, libc);
    }
    libc[Symbol.dispose]();
  }

  private constructor(below: Transport, fd: number, libc: Libc) {
    this.peer = below.peer;
    this.#below = below;
    this.#fd = fd;
    this.#libc = libc;
  }

  async read(into: Uint8Array): Promise<number | null> {
    const start = performance.now();
    const polls = this.#expectsMore(start);
    if (polls) {
      do {
        const count = this.#readNow(into);
        if (count !== undefined) return count === 0 ? null : count;
        // Whatever else is ready goes first.
        await undefined;
      } while (!this.#closed && performance.now() < start + POLL_MS);
    }
    const count = await this.#below.read(into);
    turned = performance.now();
    this.#short = !polls && turned < start + SHORT_MS;
    if (!this.#closed) heard = this;
    return count;
  }

  writeNow(bytes: Uint8Array): number {
    if (this.#closed) return 0;
    return Math.max(0, this.#libc.write(this.#fd, bytes));
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#writing = true;
    try {
      await this.#below.write(bytes);
    } finally {
      this.#writing = false;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#libc[Symbol.dispose]();
    if (heard === this) heard = undefined;
    this.#below.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#below[Symbol.asyncDispose]();
  }

  /** The last wait was a short one, nobody else was heard since, and the event loop is not overdue. */
  #expectsMore(now: number): boolean {
    return this.#short && heard === this && now < turned + TURN_MS && !this.#writing &&
      !this.#closed;
  }

  /** What is there now: 0 at the end of the stream, undefined if nothing has come. */
  #readNow(into: Uint8Array): number | undefined {
    const count = this.#libc.read(this.#fd, into);
    if (count >= 0) return count;
    if (count === -ERRNO.EAGAIN || count === -ERRNO.EINTR) return undefined;
    throw new LinkError(`Cannot read from ${this.peer}: ${errorText(count)}`);
  }
}

/** The descriptor of the TCP connection between our `port` and `peer` (such as `127.0.0.1:4310`). */
function findDescriptor(libc: Libc, peer: string, port: number): number | undefined {
  const bytes = new Uint8Array(SOCKADDR_SIZE);
  const length = new Uint32Array(1);
  for (let fd = 3; fd < MAX_DESCRIPTOR; fd++) {
    if (libc.getpeername(fd, bytes, length) < 0 || addressText(bytes) !== peer) continue;
    if (libc.getsockname(fd, bytes, length) >= 0 && portOf(bytes) === port) return fd;
  }
}

const portOf = (address: Uint8Array): number => viewOf(address).getUint16(SOCKADDR_AT.port);

/** `127.0.0.1:4310`; undefined if it is none of IPv4. */
function addressText(bytes: Uint8Array): string | undefined {
  const view = viewOf(bytes);
  if (view.getUint16(0, true) !== AF_INET) return undefined;
  const host = bytes.subarray(SOCKADDR_AT.address, SOCKADDR_AT.address + 4).join(".");
  return `${host}:${portOf(bytes)}`;
}
