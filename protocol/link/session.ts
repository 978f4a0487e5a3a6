/**
 * A session's two halves and everything between them: what outlives a transport.
 *
 * @module
 */
import type { LinkError } from "../errors.ts";
import { Applier } from "./apply.ts";
import { type Credit, SendCredits } from "./credits.ts";
import { FrameRules, HEADER, TYPE } from "./frame.ts";
import { Incoming } from "./incoming.ts";
import { largestBody, type LinkLimits, MIN_PAYLOAD } from "./limits.ts";
import type { LinkCounters } from "./options.ts";
import { Outgoing } from "./outgoing.ts";
import { PendingRequests } from "./pending.ts";
import { FrameReader } from "./reader.ts";
import { Sender } from "./sender.ts";
import type { Completer } from "./types.ts";

/**
 * Bytes that wait for the transport, above which nothing is added by who can wait: enough to keep it busy. What is sent
 * soon after it was made is still in the processor's cache, and what comes behind it waits the less.
 */
const UNSENT = 1024 * 1024;

export class Session {
  readonly counters: LinkCounters = {
    framesSent: 0,
    framesReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    framesReplayed: 0,
    reconnects: 0,
    unsupported: 0,
    roundTrip: 0,
  };
  readonly incoming: Incoming;
  readonly outgoing: Outgoing;
  readonly reader: FrameReader;
  readonly sender: Sender;
  readonly #completer: Completer;
  readonly #failed: (error: unknown) => void;
  readonly #credits = new SendCredits();
  readonly #pending: PendingRequests;
  readonly #applier: Applier;
  readonly #ownHighWater: number;
  #highWater: number;
  /** In the order in which they came. */
  readonly #waiters = new Set<() => void>();
  /** One of the waiters has his turn. */
  #resuming = false;

  /**
   * `encoded` is called whenever the sender put something into the outgoing stream; `failed` with what a writer throws
   * that was resumed from here.
   */
  constructor(
    completer: Completer,
    limits: LinkLimits,
    encoded: () => void,
    failed: (error: unknown) => void,
  ) {
    const largest = largestBody(limits);
    this.#completer = completer;
    this.#failed = failed;
    this.#ownHighWater = this.#highWater = limits.postedBytes / 2;
    this.incoming = new Incoming(limits);
    this.outgoing = new Outgoing(
      this.#credits,
      this.incoming,
      this.counters,
      largest,
      this.#highWater,
    );
    this.reader = new FrameReader(new FrameRules(MIN_PAYLOAD, MIN_PAYLOAD), largest);
    this.#pending = new PendingRequests(this.#credits, this.outgoing);
    this.#applier = new Applier(completer, this.outgoing, this.counters);
    this.sender = new Sender(this.outgoing, this.#pending, encoded);
  }

  /** The first greeting: `agreed` holds from here on, and the peer can take what `theirs` says. */
  adopt(agreed: LinkLimits, theirs: LinkLimits): void {
    this.reader.rules = new FrameRules(agreed.maxPayload, agreed.maxReadRequest);
    this.#applier.maxReadRequest = agreed.maxReadRequest;
    this.sender.maxPayload = agreed.maxPayload;
    this.sender.maxReadRequest = agreed.maxReadRequest;
    // A peer may say that it takes any amount; what is held for it is for this side to say.
    this.#highWater = Math.min(theirs.postedBytes / 2, this.#ownHighWater);
    this.renewCredit(theirs.postedBytes, theirs.postedFrames, theirs.nonPosted);
  }

  /** Bytes of buffers: what the bound in protocol/README.md, "Memory", is about. */
  get heldBytes(): number {
    return this.reader.bytes.length + this.outgoing.heldBytes;
  }

  /** What the peer lets us send now. */
  get credit(): Credit {
    return this.#credits.available;
  }

  /**
   * Below the high-water mark of bytes that are unsent or unacknowledged, half of what either side takes at once; and
   * the transport has what there is, but for a little.
   */
  get hasRoom(): boolean {
    const { backlog, unsent } = this.outgoing;
    return backlog < this.#highWater && unsent < UNSENT;
  }

  /** There is room, and nobody has waited for it: who finds some on his way must not take it from those who wait. */
  get writable(): boolean {
    return this.hasRoom && (this.#resuming || this.#waiters.size === 0);
  }

  onWritable(resume: () => void, signal?: AbortSignal): void {
    if (signal?.aborted) return;
    const wake = () => {
      signal?.removeEventListener("abort", forget);
      resume();
    };
    const forget = () => this.#waiters.delete(wake);
    signal?.addEventListener("abort", forget, { once: true });
    this.#waiters.add(wake);
    if (this.hasRoom) queueMicrotask(this.#relieveSoon);
  }

  /**
   * There may be room again: whoever waits has his turn, the longest first, until there is none. One who fills all of
   * it each time, and waits again, comes behind those who got none.
   *
   * @throws whatever a resumed writer throws
   */
  relieved(): void {
    let turns = this.#waiters.size;
    this.#resuming = true;
    try {
      for (const wake of this.#waiters) {
        if (turns-- === 0 || !this.hasRoom) return;
        this.#waiters.delete(wake);
        wake();
      }
    } finally {
      this.#resuming = false;
    }
  }

  readonly #relieveSoon = (): void => {
    try {
      this.relieved();
    } catch (error) {
      this.#failed(error);
    }
  };

  /** @throws {ProtocolError} flow_control */
  renewCredit(postedBytes: number, postedFrames: number, nonPosted: number): void {
    this.#credits.update(postedBytes, postedFrames, nonPosted);
    this.outgoing.release();
    this.#pending.release();
  }

  /** Applies the transaction that `frame` stands on. @throws {ProtocolError} */
  transaction(frame: FrameReader): void {
    const { incoming } = this;
    incoming.receive(frame.sequence, HEADER.size + frame.length);
    this.outgoing.acknowledge(frame.ack);
    this.counters.framesReceived++;
    switch (frame.type) {
      case TYPE.memory_write:
        incoming.credits.receivedPosted(frame.length);
        return this.#applier.memoryWrite(frame, this.hasRoom);
      case TYPE.message:
        incoming.credits.receivedPosted(frame.length);
        return this.#applier.message(frame);
      case TYPE.completion:
        return this.#pending.complete(frame);
      case TYPE.memory_read:
        incoming.credits.receivedNonPosted();
        return this.#applier.memoryRead(frame);
      default:
        incoming.credits.receivedNonPosted();
        return this.#applier.register(frame);
    }
  }

  /** All frames of one read are applied. */
  batchEnd(): void {
    this.#completer.batchEnd();
    this.relieved();
  }

  /** The session is over. */
  end(cause: LinkError): void {
    this.sender.closed = true;
    this.#waiters.clear();
    this.#pending.failAll(cause);
  }
}
