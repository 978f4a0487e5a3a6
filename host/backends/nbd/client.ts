/**
 * Requests to an NBD server that survive its connections.
 *
 * Any number may be in flight, on one connection. When it is lost another is made, with growing pauses and for ever, and
 * what is not answered is asked again: reads, writes, trims, zeroes and flushes may all be done twice.
 *
 * A request given up (its signal) fails at once. If it changes the disk and the server has it already, nothing newer is
 * sent before it is answered: its buffer's bytes must not land on those of its successor. Of one that only reads
 * nothing is kept but that an answer is due, and not of any number of them.
 *
 * An export that comes back as another one fails every request, with the reason, until it is as before.
 *
 * @module
 */
import { BackendError, pause } from "../../../protocol/mod.ts";
import { type ConnectionEvents, NbdConnection } from "./connection.ts";
import type { NbdExport } from "./handshake.ts";
import { type NbdFailure, type NbdOperation, NbdRequest } from "./request.ts";
import { SilenceWatch } from "./silence.ts";
import type { NbdAddress } from "./uri.ts";

/** Before the first attempt after a loss, doubled with each, and its bound; ms. */
const FIRST_DELAY = 50;
const LONGEST_DELAY = 5_000;
/** Requests given up that the server has not answered, above which it is asked nothing new: several full queues. */
const MAX_ORPHANS = 1024;

export interface NbdClientOptions {
  /** The connection was lost, its server is silent, or the export is not what it was; said once each time. */
  readonly report?: (error: BackendError) => void;
}

export class NbdClient implements AsyncDisposable {
  /** As it was first found. */
  readonly export: NbdExport;
  readonly #address: NbdAddress;
  readonly #report: (error: BackendError) => void;
  readonly #closed = new AbortController();
  /** Not answered yet, in order of issue. */
  readonly #pending = new Map<number, NbdRequest>();
  readonly #watched = new WeakSet<AbortSignal>();
  #connection: NbdConnection | undefined;
  /** The server has been of use since the last loss: the pauses start over. */
  #answered = false;
  #delay = FIRST_DELAY;
  #reconnecting: Promise<void> | undefined;
  /** Why no request can be served. */
  #unusable: BackendError | undefined;
  #nextCookie = 1;
  /** Requests given up that the server has and has not answered, and those of them that change the disk. */
  #orphans = 0;
  #barriers = 0;
  /** When the connection was lost, ms of `performance.now`. */
  #lostAt = 0;
  /** Of a connection that is lost something has been said already. */
  readonly #silence = new SilenceWatch(
    () => this.#connection !== undefined && this.#pending.size > 0,
    (seconds) => this.#tellSilence(seconds),
  );

  private constructor(
    address: NbdAddress,
    connection: NbdConnection,
    { report = () => {} }: NbdClientOptions,
  ) {
    this.#address = address;
    this.#report = report;
    this.export = connection.export;
    this.#attach(connection);
  }

  /** Tries once. @throws {LinkError | BackendError} as {@linkcode NbdConnection.open} */
  static async open(
    address: NbdAddress,
    signal: AbortSignal,
    options: NbdClientOptions = {},
  ): Promise<NbdClient> {
    return new NbdClient(address, await NbdConnection.open(address, signal), options);
  }

  /**
   * Resolves with the server's refusal, or with nothing when it has done it.
   *
   * @throws {BackendError} if the export has changed or the client was closed; the signal's reason
   */
  ask(operation: NbdOperation, signal: AbortSignal): Promise<NbdFailure | undefined> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#unusable !== undefined) return Promise.reject(this.#unusable);
    const request = new NbdRequest(operation, this.#nextCookie++, signal);
    this.#watch(signal);
    this.#pending.set(request.cookie, request);
    this.#silence.asked();
    if (this.#mayAsk) this.#connection?.send(request);
    return request.answer;
  }

  /** What requests wait for, if the server serves none now: a sentence's end. */
  get waiting(): string | undefined {
    if (this.#unusable !== undefined) return `cannot be served: ${this.#unusable.message}`;
    if (this.#connection !== undefined) {
      const silent = this.#silence.told && this.#pending.size > 0;
      return silent ? "waits for its server, which answers nothing" : undefined;
    }
    const seconds = Math.round((performance.now() - this.#lostAt) / 1000);
    return `waits for its server, which is gone for ${seconds} s`;
  }

  get #mayAsk(): boolean {
    return this.#barriers === 0 && this.#orphans <= MAX_ORPHANS;
  }

  /** What is not answered fails. Says goodbye to the server. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#silence[Symbol.dispose]();
    const connection = this.#connection;
    this.#connection = undefined;
    this.#failAll(new BackendError(`${this.#address.uri} was closed`));
    await Promise.all([connection?.close(), this.#reconnecting]);
  }

  readonly #events: ConnectionEvents = {
    find: (cookie) => this.#pending.get(cookie),
    answered: (request) => {
      this.#answered = true;
      this.#silence.answered();
      this.#pending.delete(request.cookie);
      request.answered();
      if (!request.orphan) return;
      this.#orphans--;
      if (request.changes) this.#barriers--;
      if (this.#mayAsk) this.#sendIdle();
    },
    lost: (error) => this.#lost(error),
  };

  #attach(connection: NbdConnection): void {
    this.#connection = connection;
    connection.start(this.#events);
    this.#sendIdle();
  }

  #sendIdle(): void {
    for (const request of this.#pending.values()) {
      if (request.state === "idle") this.#connection?.send(request);
    }
  }

  #lost(error: unknown): void {
    this.#connection = undefined;
    this.#lostAt = performance.now();
    if (this.#answered) this.#delay = FIRST_DELAY;
    this.#answered = false;
    this.#orphans = this.#barriers = 0;
    for (const request of this.#pending.values()) {
      if (request.orphan) this.#pending.delete(request.cookie);
      else request.reset();
    }
    const reason = error instanceof Error ? error.message : String(error);
    this.#report(
      new BackendError(`Lost ${this.#address.uri}: ${reason}; trying until it is back`, {
        cause: error,
      }),
    );
    this.#reconnecting = this.#reconnect(this.#closed.signal);
  }

  async #reconnect(closed: AbortSignal): Promise<void> {
    while (!closed.aborted) {
      await pause(this.#delay, closed);
      this.#delay = Math.min(2 * this.#delay, LONGEST_DELAY);
      let connection: NbdConnection;
      try {
        connection = await NbdConnection.open(this.#address, closed);
      } catch {
        // Not there yet, or not to be had now; both may pass. The loss was reported.
        continue;
      }
      const change = changed(this.export, connection.export);
      if (change === undefined && !closed.aborted) {
        this.#unusable = undefined;
        return this.#attach(connection);
      }
      await connection.close();
      if (change !== undefined) this.#refuse(change);
    }
  }

  #tellSilence(seconds: number): void {
    const { size } = this.#pending;
    this.#report(
      new BackendError(
        `${this.#address.uri} has answered nothing for ${seconds} s: ${size} ` +
          `${
            size === 1 ? "request waits" : "requests wait"
          } until it does, or its connection is lost`,
      ),
    );
  }

  #refuse(change: string): void {
    const message = `${this.#address.uri} came back as another disk: ${change}`;
    if (this.#unusable?.message !== message) {
      this.#unusable = new BackendError(message);
      this.#report(this.#unusable);
    }
    this.#failAll(this.#unusable);
  }

  #failAll(error: BackendError): void {
    for (const request of this.#pending.values()) request.reject(error);
    this.#pending.clear();
  }

  /** One listener for all requests of a signal: they are given up together. */
  #watch(signal: AbortSignal): void {
    if (this.#watched.has(signal)) return;
    this.#watched.add(signal);
    signal.addEventListener("abort", () => this.#giveUp(signal), {
      once: true,
      signal: this.#closed.signal,
    });
  }

  #giveUp(signal: AbortSignal): void {
    let torn = false;
    for (const request of this.#pending.values()) {
      if (request.signal !== signal) continue;
      request.reject(signal.reason);
      request.letGo();
      if (request.state === "sent") {
        request.orphan = true;
        this.#orphans++;
        if (request.changes) this.#barriers++;
        continue;
      }
      torn ||= request.state === "sending";
      request.state = "done";
      this.#pending.delete(request.cookie);
    }
    // Half of it is with the server, and the other half is not ours to read any more.
    if (torn) this.#connection?.drop(new Error("a write was given up while it was sent"));
  }
}

/** What of `before` is not so in `now`; undefined if nothing. */
function changed(before: NbdExport, now: NbdExport): string | undefined {
  if (now.size !== before.size) return `it has ${now.size} bytes, had ${before.size}`;
  if (now.flags !== before.flags) {
    return `its flags are 0x${now.flags.toString(16)}, were 0x${before.flags.toString(16)}`;
  }
  if (now.minimumBlock !== before.minimumBlock || now.maximumBlock < before.maximumBlock) {
    const { minimumBlock, maximumBlock } = before;
    return `it takes ${now.minimumBlock} to ${now.maximumBlock} bytes at once, ` +
      `took ${minimumBlock} to ${maximumBlock}`;
  }
  return undefined;
}
