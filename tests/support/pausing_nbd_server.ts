/**
 * An NBD server over memory that stands still when it is told to, and goes on; only for tests. Simple replies, in order.
 *
 * @module
 */
import { COMMAND, REQUEST, SIMPLE_REPLY } from "../../host/backends/nbd/protocol.ts";
import { viewOf } from "../../protocol/mod.ts";
import { FakeNbdPeer } from "./nbd_server.ts";

const MAGIC = 0x6744_6698;
const READ_SIZE = 256 * 1024;

export class PausingNbdServer implements AsyncDisposable {
  readonly uri: string;
  readonly bytes: Uint8Array;
  /** Requests answered so far. */
  answered = 0;
  readonly #listener: Deno.TcpListener;
  readonly #peers = new Set<Deno.TcpConn>();
  readonly #serving = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;
  #running: Promise<void> = Promise.resolve();
  #resume: () => void = () => {};

  /** Listens at once; the disk has `size` bytes. */
  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.uri = `nbd://127.0.0.1:${this.#listener.addr.port}/disk`;
    this.#accepting = this.#accept();
  }

  /** Nothing is read or answered any more, but for the answers under way. */
  pause(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#running = promise;
    this.#resume = resolve;
  }

  resume(): void {
    this.#resume();
  }

  async #accept(): Promise<void> {
    for await (const conn of this.#listener) {
      this.#peers.add(conn);
      const serving: Promise<void> = this.#serve(conn).catch(() => {}).finally(() => {
        this.#peers.delete(conn);
        this.#serving.delete(serving);
      });
      this.#serving.add(serving);
    }
  }

  /** Until the client is gone, which ends it with an error or without. */
  async #serve(conn: Deno.TcpConn): Promise<void> {
    const size = this.bytes.length.toString(16).padStart(16, "0");
    await new FakeNbdPeer(conn).welcome({ size, structured: false });
    const stream = new Stream(conn);
    for (;;) {
      if (stream.available < REQUEST.size) await stream.need(REQUEST.size);
      await this.#running;
      const { type, cookie, offset, length } = REQUEST.read(stream.view, stream.take(REQUEST.size));
      if (type === COMMAND.DISC) return conn.close();
      if (type === COMMAND.WRITE) await stream.copy(this.bytes.subarray(offset, offset + length));
      else if (type === COMMAND.TRIM || type === COMMAND.WRITE_ZEROES) {
        this.bytes.fill(0, offset, offset + length);
      }
      const data = type === COMMAND.READ ? length : 0;
      const reply = stream.answer(SIMPLE_REPLY.size + data);
      SIMPLE_REPLY.write(viewOf(reply), { magic: MAGIC, error: 0, cookie });
      reply.set(this.bytes.subarray(offset, offset + data), SIMPLE_REPLY.size);
      this.answered++;
      // What came in one read is answered in one write.
      if (stream.available < REQUEST.size || stream.answers > READ_SIZE) await stream.flush();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.resume();
    this.#listener.close();
    for (const conn of this.#peers) conn.close();
    await this.#accepting;
    await Promise.all(this.#serving);
  }
}

/** Requests in, answers out. */
class Stream {
  readonly #conn: Deno.TcpConn;
  readonly #in = new Uint8Array(READ_SIZE);
  readonly view = viewOf(this.#in);
  #start = 0;
  #end = 0;
  #out = new Uint8Array(2 * READ_SIZE);
  /** Bytes of answers that wait to be sent. */
  answers = 0;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  get available(): number {
    return this.#end - this.#start;
  }

  async need(count: number): Promise<void> {
    this.#in.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    while (this.#end < count) {
      const read = await this.#conn.read(this.#in.subarray(this.#end));
      if (read === null) throw new Error("the client is gone");
      this.#end += read;
    }
  }

  take(count: number): number {
    this.#start += count;
    return this.#start - count;
  }

  async copy(into: Uint8Array): Promise<void> {
    for (let at = 0; at < into.length;) {
      if (this.available === 0) await this.need(1);
      const count = Math.min(this.available, into.length - at);
      const from = this.take(count);
      into.set(this.#in.subarray(from, from + count), at);
      at += count;
    }
  }

  /** Room for an answer of `length` bytes. */
  answer(length: number): Uint8Array {
    const end = this.answers + length;
    if (end > this.#out.length) {
      const grown = new Uint8Array(2 * end);
      grown.set(this.#out.subarray(0, this.answers));
      this.#out = grown;
    }
    this.answers = end;
    return this.#out.subarray(end - length, end);
  }

  async flush(): Promise<void> {
    const { answers } = this;
    this.answers = 0;
    for (let at = 0; at < answers;) at += await this.#conn.write(this.#out.subarray(at, answers));
  }
}
