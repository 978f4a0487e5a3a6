/**
 * One connection to an NBD server: opened and negotiated, then one reader and one writer until it is lost.
 *
 * It never mends itself, and is lost once: {@linkcode ConnectionEvents.lost} is its last event.
 *
 * @module
 */
import { LinkError, pause, type Transport, viewOf } from "../../../protocol/mod.ts";
import { ByteReader } from "./byte_reader.ts";
import { greet, type NbdExport, negotiate } from "./handshake.ts";
import { COMMAND, MAGIC, REQUEST } from "./protocol.ts";
import { readReplies, type Replies } from "./replies.ts";
import type { NbdRequest } from "./request.ts";
import { RequestSender } from "./sender.ts";
import { dialNbd } from "./socket.ts";
import { lostAfterTls, startTls } from "./tls.ts";
import type { NbdAddress } from "./uri.ts";

/** From the dial to the export's size, ms. */
const HANDSHAKE_LIMIT = 20_000;
/** What a goodbye may take, ms. */
const GOODBYE_LIMIT = 1_000;

export interface ConnectionEvents extends Replies {
  lost(error: unknown): void;
}

export class NbdConnection {
  readonly export: NbdExport;
  readonly #transport: Transport;
  readonly #reader: ByteReader;
  readonly #sender: RequestSender;
  #events: ConnectionEvents | undefined;
  #reading: Promise<void> | undefined;

  private constructor(transport: Transport, reader: ByteReader, exported: NbdExport) {
    this.export = exported;
    this.#transport = transport;
    this.#reader = reader;
    this.#sender = new RequestSender(transport, (error) => this.drop(error));
  }

  /** @throws {LinkError | BackendError} as {@linkcode dialNbd}, {@linkcode startTls} and {@linkcode negotiate}; the signal's reason */
  static async open(address: NbdAddress, signal: AbortSignal): Promise<NbdConnection> {
    const limit = new AbortController();
    const late = new LinkError(`the server was silent for ${HANDSHAKE_LIMIT / 1000} s`);
    const timer = setTimeout(() => limit.abort(late), HANDSHAKE_LIMIT);
    const either = AbortSignal.any([signal, limit.signal]);
    let transport: Transport | undefined;
    const close = () => transport?.close();
    either.addEventListener("abort", close);
    try {
      transport = await dialNbd(address, either);
      either.throwIfAborted();
      let reader = new ByteReader(transport);
      await greet(transport, reader);
      const { tls, exportName } = address;
      if (tls !== undefined) {
        transport = await startTls(transport, reader, tls);
        either.throwIfAborted();
        reader = new ByteReader(transport);
      }
      const exported = await negotiate(transport, reader, exportName).catch((error) => {
        throw tls === undefined ? error : lostAfterTls(error);
      });
      either.throwIfAborted();
      return new NbdConnection(transport, reader, exported);
    } catch (error) {
      close();
      throw either.aborted ? either.reason : error;
    } finally {
      clearTimeout(timer);
      either.removeEventListener("abort", close);
    }
  }

  /** Starts delivery. */
  start(events: ConnectionEvents): void {
    this.#events = events;
    // What is read after the loss belongs to requests that may be on the next connection.
    const replies: Replies = {
      find: (cookie) => this.#events?.find(cookie),
      answered: (request) => this.#events?.answered(request),
    };
    this.#reading = readReplies(this.#reader, replies, this.export.structuredReplies)
      .catch((error) => this.drop(error));
  }

  send(request: NbdRequest): void {
    this.#sender.send(request);
  }

  /** Ends it without a word. */
  drop(error: unknown): void {
    const events = this.#events;
    this.#events = undefined;
    this.#end();
    events?.lost(error);
  }

  /** Says goodbye, unless requests are still leaving, and ends it; no event comes of it. */
  async close(): Promise<void> {
    this.#events = undefined;
    if (this.#sender.running === undefined) {
      const bytes = new Uint8Array(REQUEST.size);
      const { DISC } = COMMAND;
      REQUEST.write(viewOf(bytes), {
        magic: MAGIC.REQUEST,
        flags: 0,
        type: DISC,
        cookie: 0,
        offset: 0,
        length: 0,
      });
      const said = new AbortController();
      this.#transport.write(bytes).catch(() => {}).finally(() => said.abort());
      await pause(GOODBYE_LIMIT, said.signal);
    }
    this.#end();
    await Promise.all([this.#reading, this.#sender.running]);
  }

  #end(): void {
    this.#reader.stop();
    this.#transport.close();
  }
}
