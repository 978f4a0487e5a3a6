/**
 * A transport between two ends of one process. It buffers nothing: a write is done when the other end has read the
 * last of it, which is the strictest back-pressure there is.
 *
 * @module
 */
import { LinkError } from "../errors.ts";
import type { Transport } from "./types.ts";

/** One direction. */
class Pipe {
  #bytes: Uint8Array | undefined;
  #into: Uint8Array | undefined;
  #written: PromiseWithResolvers<void> | undefined;
  #read: PromiseWithResolvers<number | null> | undefined;
  #closed = false;

  write(bytes: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.reject(broken());
    if (this.#written) throw new TypeError("Cannot write: another write is under way");
    if (bytes.length === 0) return Promise.resolve();
    this.#written = Promise.withResolvers();
    const { promise } = this.#written;
    this.#bytes = bytes;
    this.#move();
    return promise;
  }

  read(into: Uint8Array): Promise<number | null> {
    if (this.#closed) return Promise.resolve(null);
    if (this.#read) throw new TypeError("Cannot read: another read is under way");
    this.#read = Promise.withResolvers();
    const { promise } = this.#read;
    this.#into = into;
    this.#move();
    return promise;
  }

  close(): void {
    this.#closed = true;
    this.#written?.reject(broken());
    this.#read?.resolve(null);
    this.#written =
      this.#read =
      this.#bytes =
      this.#into =
        undefined;
  }

  #move(): void {
    if (!this.#bytes || !this.#into) return;
    const count = Math.min(this.#bytes.length, this.#into.length);
    this.#into.set(this.#bytes.subarray(0, count));
    this.#read!.resolve(count);
    this.#read = this.#into = undefined;
    this.#bytes = this.#bytes.subarray(count);
    if (this.#bytes.length > 0) return;
    this.#written!.resolve();
    this.#written = this.#bytes = undefined;
  }
}

const broken = (): LinkError => new LinkError("Cannot write to peer: connection closed");

class MemoryTransport implements Transport {
  readonly peer: string;
  readonly #incoming: Pipe;
  readonly #outgoing: Pipe;

  constructor(peer: string, incoming: Pipe, outgoing: Pipe) {
    this.peer = peer;
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }
  read(into: Uint8Array): Promise<number | null> {
    return this.#incoming.read(into);
  }
  write(bytes: Uint8Array): Promise<void> {
    return this.#outgoing.write(bytes);
  }
  /** The other end sees the end of the stream. */
  close(): void {
    this.#incoming.close();
    this.#outgoing.close();
  }
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

/** Two ends that are connected to each other. */
export function memoryTransportPair(): [Transport, Transport] {
  const one = new Pipe();
  const two = new Pipe();
  return [new MemoryTransport("memory:b", one, two), new MemoryTransport("memory:a", two, one)];
}
