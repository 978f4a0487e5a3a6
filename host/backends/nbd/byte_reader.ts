/**
 * A server's bytes, in order, through one buffer of fixed size.
 *
 * Headers are parsed in place; what is longer is copied out as it comes, so no length the server names is ever
 * allocated.
 *
 * @module
 */
import { LinkError, type Transport, viewOf } from "../../../protocol/mod.ts";

const BUFFER = 256 * 1024;

export class ByteReader {
  readonly #transport: Pick<Transport, "read">;
  readonly #buffer = new Uint8Array(BUFFER);
  readonly #view = viewOf(this.#buffer);
  #start = 0;
  #end = 0;
  #stopped = false;

  constructor(transport: Pick<Transport, "read">) {
    this.#transport = transport;
  }

  /** Bytes here already. */
  get available(): number {
    return this.#end - this.#start;
  }

  /** Over the buffer; what {@linkcode ByteReader.take} gives is an offset in it, good until the next call. */
  get view(): DataView {
    return this.#view;
  }

  /** Resolves when `count` bytes, at most the buffer's size, are here. @throws {LinkError} at the end of the stream */
  async need(count: number): Promise<void> {
    if (this.#start + count > BUFFER) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    while (this.available < count) await this.#more();
  }

  /** Nothing more is read: what still comes is nobody's. */
  stop(): void {
    this.#stopped = true;
  }

  /** Takes `count` bytes that are here; returns where they are in `view`. */
  take(count: number): number {
    const at = this.#start;
    this.#start += count;
    return at;
  }

  /** UTF-8. `length` is bounded by the caller, to the buffer's size. */
  async text(length: number): Promise<string> {
    await this.need(length);
    const at = this.take(length);
    return new TextDecoder().decode(this.#buffer.subarray(at, at + length));
  }

  /**
   * Passes the next `length` bytes on, in pieces that are valid only during the call.
   */
  async pass(length: number, piece: (bytes: Uint8Array, at: number) => void): Promise<void> {
    for (let at = 0; at < length;) {
      if (this.available === 0) await this.#more();
      const count = Math.min(this.available, length - at);
      const from = this.take(count);
      piece(this.#buffer.subarray(from, from + count), at);
      at += count;
    }
  }

  async #more(): Promise<void> {
    if (this.#start === this.#end) this.#start = this.#end = 0;
    const count = await this.#transport.read(this.#buffer.subarray(this.#end));
    if (this.#stopped) throw new LinkError("connection closed on this side");
    if (count === null) throw new LinkError("the server closed the connection");
    this.#end += count;
  }
}
