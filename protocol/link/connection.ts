/**
 * One transport in the life of a session: one read loop, one write at a time, a heartbeat.
 *
 * - Everything that one read brought is applied before anything is awaited, and its answers leave in one write; but
 *   for a peer that asks for much that nobody claims: others have their turn in between.
 * - What is encoded while a write is under way leaves with the next one: the slower the network, the larger the batch.
 * - Timers belong to the connection, never to a frame.
 *
 * @module
 */
import { LinkError, ProtocolError } from "../errors.ts";
import { le32 } from "../scalar.ts";
import { AliveQuestion, ANSWER_TIME } from "./alive.ts";
import { ControlFrames, encodeGoodbye, goodbyeReason, goodbyeText } from "./control.ts";
import { CREDIT, isControl, PING, TYPE } from "./frame.ts";
import type { GoodbyeReason } from "./goodbye.ts";
import type { LinkLimits } from "./limits.ts";
import type { FrameReader } from "./reader.ts";
import { ahead } from "./sequence.ts";
import type { Session } from "./session.ts";
import type { Transport } from "./types.ts";

/** Longest time that an acknowledgement waits for a frame to ride on, in ms. */
const ACK_DELAY = 20;
/** Unsupported requests of one turn of the event loop: each costs some microseconds, a thousand times what it brings. */
const REFUSALS_A_TURN = 1024;
/** Longest time to get a goodbye out and see the peer close, in ms. */
export const GOODBYE_LINGER = 1_000;

/** Who must know what became of the connection: the link. */
export interface ConnectionOwner {
  /** The transport is of no use any more; or, while saying goodbye, all is said. */
  lost(error: LinkError): void;
  /** The peer ends the session. */
  goodbyeReceived(reason: GoodbyeReason, text: string): void;
  /** The peer, or something here, broke the rules. */
  fail(error: unknown): void;
}

export class Connection {
  readonly #transport: Transport;
  readonly #session: Session;
  readonly #owner: ConnectionOwner;
  readonly #control: ControlFrames;
  readonly #limits: LinkLimits;
  readonly #heartbeat: ReturnType<typeof setInterval>;
  #ackTimer: ReturnType<typeof setTimeout> | undefined;
  #lingerTimer: ReturnType<typeof setTimeout> | undefined;
  #goodbye: Uint8Array | undefined;
  #leaving = false;
  #stopped = false;
  #writing = false;
  #batching = false;
  #scheduled = false;
  #relieving = false;
  #heard = true;
  #quiet = 0;
  #pingId = 0;
  #pingTime = 0;
  #question: AliveQuestion | undefined;
  /** The first ping that answers it. */
  #questionId = 0;

  /** `limits` as negotiated. The connection owns `transport`. */
  constructor(
    transport: Transport,
    session: Session,
    owner: ConnectionOwner,
    limits: LinkLimits,
  ) {
    this.#transport = transport;
    this.#session = session;
    this.#owner = owner;
    this.#limits = limits;
    this.#control = new ControlFrames(session.incoming);
    this.#heartbeat = setInterval(this.#beat, limits.heartbeat);
  }

  /** Reads until the transport ends. Never rejects. */
  async run(): Promise<void> {
    const { reader, counters } = this.#session;
    // Credits given on a transport that broke may not have arrived.
    this.#control.credit = true;
    this.flush();
    try {
      while (!this.#stopped) {
        const count = await this.#transport.read(reader.space());
        if (count === null) throw new LinkError("Cannot read from peer: connection closed");
        if (this.#stopped) return;
        counters.bytesReceived += count;
        this.#heard = true;
        this.#question?.heard();
        reader.filled(count);
        if (this.#leaving) this.#awaitGoodbye(reader);
        while (this.#batch(reader)) await new Promise((resolve) => setTimeout(resolve, 0));
      }
    } catch (error) {
      this.#lost(error);
    }
  }

  /** Something was encoded: it leaves in the next microtask, unless a batch or a write takes it along. */
  poke(): void {
    if (this.#scheduled || this.#writing || this.#batching || this.#stopped) return;
    this.#scheduled = true;
    queueMicrotask(this.#scheduledFlush);
  }

  /** Starts the next write now, unless one is under way. */
  flush(): void {
    if (this.#writing || this.#stopped) return;
    for (let bytes = this.#next(); bytes !== undefined; bytes = this.#next()) {
      this.#session.counters.bytesSent += bytes.length;
      const done = this.#transport.writeNow?.(bytes) ?? 0;
      if (done < bytes.length) {
        this.#writing = true;
        this.#transport.write(bytes.subarray(done)).then(this.#written, this.#lost);
        return;
      }
      this.#session.outgoing.written();
      this.#relieveSoon();
    }
  }

  /** What is to be written next: what keeps the link going, what was encoded, a goodbye. */
  #next(): Uint8Array | undefined {
    const bytes = this.#control.take(this.#session.hasRoom) ?? this.#session.outgoing.nextSegment();
    if (bytes !== undefined) return bytes;
    const goodbye = this.#goodbye;
    this.#goodbye = undefined;
    return goodbye;
  }

  /** Whoever waits for room has his turn after what is going on. */
  #relieveSoon(): void {
    if (this.#relieving) return;
    this.#relieving = true;
    queueMicrotask(this.#relieve);
  }

  /** Sends what may still leave, then the goodbye; then waits a moment for the peer to close. */
  leave(reason: GoodbyeReason, text: string): void {
    this.#leaving = true;
    this.#goodbye = encodeGoodbye(reason, text, this.#session.incoming.sequence);
    this.#lingerTimer = setTimeout(
      () => this.#lost(new LinkError("Cannot see peer close: it took too long")),
      GOODBYE_LINGER,
    );
    this.flush();
  }

  /**
   * Asks whether the peer is still there, since another connection says to be it. A peer that does not answer is lost
   * before this resolves. Two who ask at once share the answer.
   */
  async answers(): Promise<boolean> {
    if (this.#question === undefined) {
      this.#ping();
      this.#questionId = this.#pingId;
      this.#question = new AliveQuestion(this.#limits.silence);
    }
    const alive = await this.#question.answer;
    this.#question = undefined;
    if (!alive) this.#silent(Math.min(ANSWER_TIME, this.#limits.silence));
    return alive;
  }

  /** Closes the transport and every timer. The read loop ends by itself. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#ackTimer);
    clearTimeout(this.#lingerTimer);
    this.#question?.settle(false);
    this.#transport.close();
  }

  /** Applies what was read; true if there is more, for another turn. */
  #batch(reader: FrameReader): boolean {
    if (this.#stopped || this.#leaving) return false;
    const session = this.#session;
    const refusals = session.counters.unsupported + REFUSALS_A_TURN;
    let more = false;
    this.#batching = true;
    try {
      while (!this.#stopped && !this.#leaving && reader.next()) {
        if (isControl(reader.type)) this.#controlFrame(reader);
        else session.transaction(reader);
        more = session.counters.unsupported >= refusals;
        if (more) break;
      }
      if (!this.#stopped && !this.#leaving) session.batchEnd();
    } catch (error) {
      this.#owner.fail(error);
    } finally {
      this.#batching = false;
    }
    this.#settle();
    this.flush();
    return more;
  }

  #controlFrame(frame: FrameReader): void {
    if (frame.type === TYPE.goodbye) return this.#goodbyeFrame(frame);
    if (frame.code !== 0 || frame.tag !== 0 || frame.sequence !== 0) {
      throw new ProtocolError(
        "malformed",
        `Cannot take control frame of type ${frame.type}: a reserved field is not 0`,
      );
    }
    const { view, body } = frame;
    this.#session.outgoing.acknowledge(frame.ack);
    switch (frame.type) {
      case TYPE.credit:
        return this.#session.renewCredit(
          le32.get(view, body + CREDIT.at.posted_bytes),
          le32.get(view, body + CREDIT.at.posted_frames),
          le32.get(view, body + CREDIT.at.non_posted),
        );
      case TYPE.ping:
        return this.#control.pong(le32.get(view, body + PING.at.id));
      case TYPE.pong:
        return this.#pong(le32.get(view, body + PING.at.id));
    }
  }

  #pong(id: number): void {
    if (id === this.#pingId) {
      this.#session.counters.roundTrip = performance.now() - this.#pingTime;
    }
    if (ahead(id, this.#questionId) >= 0) this.#question?.settle(true);
  }

  #goodbyeFrame(frame: FrameReader): void {
    const reason = goodbyeReason(frame.code);
    const text = goodbyeText(frame.bytes.subarray(frame.body, frame.body + frame.length));
    // The peer does not hear us on this transport; the session is as good as before.
    if (reason === "silence") this.#lost(new LinkError(`Cannot be heard by peer: ${text}`));
    else this.#owner.goodbyeReceived(reason, text);
  }

  /** Sees to it that what we owe the peer is acknowledged: now if it is much, else before long. */
  #settle(): void {
    const { incoming, hasRoom } = this.#session;
    if (this.#stopped || this.#leaving) return;
    if (incoming.due(hasRoom)) this.#control.credit = true;
    else if (this.#ackTimer === undefined && incoming.owes(hasRoom)) {
      this.#ackTimer = setTimeout(this.#acknowledge, ACK_DELAY);
    }
  }

  readonly #acknowledge = (): void => {
    this.#ackTimer = undefined;
    const { incoming, hasRoom } = this.#session;
    if (!incoming.owes(hasRoom)) return;
    this.#control.credit = true;
    this.flush();
  };

  readonly #scheduledFlush = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  readonly #written = (): void => {
    this.#writing = false;
    if (this.#stopped) return;
    this.#session.outgoing.written();
    this.#relieve();
  };

  readonly #relieve = (): void => {
    this.#relieving = false;
    if (this.#stopped) return;
    try {
      this.#session.relieved();
    } catch (error) {
      this.#owner.fail(error);
    }
    this.#settle();
    this.flush();
  };

  readonly #lost = (error: unknown): void => {
    if (this.#stopped) return;
    const cause = error instanceof LinkError
      ? error
      : new LinkError(`Cannot use connection to ${this.#transport.peer}`, { cause: error });
    this.#owner.lost(cause);
  };

  readonly #beat = (): void => {
    const { heartbeat, silence } = this.#limits;
    if (this.#leaving) return;
    this.#session.outgoing.trim();
    this.#quiet = this.#heard ? 0 : this.#quiet + heartbeat;
    this.#heard = false;
    if (this.#quiet >= silence) return this.#silent(silence);
    this.#ping();
  };

  #ping(): void {
    this.#pingId = this.#pingId % 0xffff_ffff + 1;
    this.#pingTime = performance.now();
    this.#control.ping(this.#pingId);
    this.flush();
  }

  /** Half-open, most likely: the goodbye is for a peer that hears us and cannot be heard. */
  #silent(time: number): void {
    if (this.#stopped) return;
    const what = `nothing was heard for ${time} ms`;
    if (!this.#writing) {
      this.#transport.write(encodeGoodbye("silence", `Cannot go on: ${what}`)).catch(this.#lost);
    }
    this.#lost(new LinkError(`Cannot reach ${this.#transport.peer}: ${what}`));
  }

  /** Our goodbye is on its way; of all that still comes only the peer's own one matters. */
  #awaitGoodbye(reader: FrameReader): void {
    try {
      while (reader.next()) {
        if (reader.type === TYPE.goodbye) {
          this.#lost(new LinkError("Cannot go on: both sides left"));
        }
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      reader.reset();
    }
  }
}
