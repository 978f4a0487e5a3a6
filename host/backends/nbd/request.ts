/**
 * One NBD request, from its issue to its answer; connections may come and go meanwhile.
 *
 * @module
 */
import type { Command } from "./protocol.ts";
import { COMMAND } from "./protocol.ts";

/**
 * `idle`: on no connection. `queued`: to be sent. `sending`: its payload has begun to leave. `sent`: the server has all of
 * it. `done`: answered, or given up.
 */
export type RequestState = "idle" | "queued" | "sending" | "sent" | "done";

/** What is asked of the server; bytes. */
export interface NbdOperation {
  readonly command: Command;
  readonly flags: number;
  readonly offset: number;
  readonly length: number;
  /** Where a read goes, or what a write brings: `length` bytes, ours until the request is settled. */
  readonly data: Uint8Array | undefined;
}

/** The server's word that it could not. */
export interface NbdFailure {
  readonly error: number;
  readonly message: string;
}

export class NbdRequest {
  operation: NbdOperation;
  readonly cookie: number;
  readonly signal: AbortSignal;
  state: RequestState = "idle";
  /** Bytes of a read that have come. */
  received = 0;
  failure: NbdFailure | undefined;
  /** Nobody waits any more; but the server has it and will answer. */
  orphan = false;
  readonly #settled = Promise.withResolvers<NbdFailure | undefined>();

  constructor(operation: NbdOperation, cookie: number, signal: AbortSignal) {
    this.operation = operation;
    this.cookie = cookie;
    this.signal = signal;
  }

  /** Given up: the buffer is not ours any more. A server that stands still must not keep those of many resets alive. */
  letGo(): void {
    this.operation = { ...this.operation, data: undefined };
  }

  /** Resolves with the server's answer. */
  get answer(): Promise<NbdFailure | undefined> {
    return this.#settled.promise;
  }

  /** Where to read to; undefined while there is nothing to read, or nobody who wants it. */
  get buffer(): Uint8Array | undefined {
    return this.state === "sent" ? this.operation.data : undefined;
  }

  get reads(): boolean {
    return this.operation.command === COMMAND.READ;
  }

  /** Must it be done with before anything newer is asked? */
  get changes(): boolean {
    const { command } = this.operation;
    return command !== COMMAND.READ && command !== COMMAND.FLUSH;
  }

  /** The connection it was on is gone; it will be asked again. */
  reset(): void {
    this.state = "idle";
    this.received = 0;
    this.failure = undefined;
  }

  answered(): void {
    this.state = "done";
    this.#settled.resolve(this.failure);
  }

  reject(reason: unknown): void {
    this.#settled.reject(reason);
  }
}
