/**
 * Requests to bytes: what is asked in one turn of the event loop leaves in one write.
 *
 * Payload is copied into the batch, so a caller's buffer is touched in no turn but ours: a request given up is never
 * read again once the connection knows (a half-sent one ends the connection).
 *
 * Invariant: the queue has no request for longer than it is to be sent, however long the server takes to read.
 *
 * @module
 */
import { type Transport, viewOf } from "../../../protocol/mod.ts";
import { COMMAND, MAGIC, REQUEST } from "./protocol.ts";
import type { NbdRequest } from "./request.ts";

/** Bytes of one write. */
const BATCH = 256 * 1024;

export class RequestSender {
  readonly #transport: Pick<Transport, "write">;
  readonly #onError: (error: unknown) => void;
  readonly #batch = new Uint8Array(BATCH);
  readonly #view = viewOf(this.#batch);
  #queue: NbdRequest[] = [];
  /** The first of the queue that is not all in a batch, and the bytes of its payload that are. */
  #next = 0;
  #copied = 0;
  #running: Promise<void> | undefined;

  constructor(transport: Pick<Transport, "write">, onError: (error: unknown) => void) {
    this.#transport = transport;
    this.#onError = onError;
  }

  /** Resolves when everything sent has left; undefined when it has. */
  get running(): Promise<void> | undefined {
    return this.#running;
  }

  send(request: NbdRequest): void {
    request.state = "queued";
    this.#queue.push(request);
    this.#running ??= Promise.resolve().then(this.#run);
  }

  readonly #run = async (): Promise<void> => {
    try {
      for (let length = this.#fill(); length > 0; length = this.#fill()) {
        await this.#transport.write(this.#batch.subarray(0, length));
      }
      this.#running = undefined;
    } catch (error) {
      this.#onError(error);
    }
  };

  /** Returns the bytes in the batch. */
  #fill(): number {
    let at = 0;
    this.#queue.splice(0, this.#next);
    this.#next = 0;
    for (; this.#next < this.#queue.length; this.#next++) {
      const request = this.#queue[this.#next]!;
      if (request.state === "queued") {
        if (BATCH - at < REQUEST.size) return at;
        at += encodeRequest(this.#view, at, request);
        request.state = "sending";
        this.#copied = 0;
      }
      if (request.state !== "sending") continue;
      const { command, data } = request.operation;
      if (command === COMMAND.WRITE) {
        const count = Math.min(BATCH - at, data!.length - this.#copied);
        this.#batch.set(data!.subarray(this.#copied, this.#copied + count), at);
        this.#copied += count;
        at += count;
        if (this.#copied < data!.length) return at;
      }
      request.state = "sent";
    }
    this.#queue.length = this.#next = 0;
    return at;
  }
}

function encodeRequest(view: DataView, at: number, { cookie, operation }: NbdRequest): number {
  const { flags, command, offset, length } = operation;
  REQUEST.write(view, { magic: MAGIC.REQUEST, flags, type: command, cookie, offset, length }, at);
  return REQUEST.size;
}
