/**
 * Sending half of a session: frames are encoded into pooled chunks, in one total order, and stay there until they are
 * acknowledged (see {@linkcode Chunk}).
 *
 * Posted frames take credit as they are encoded. When it runs out the stream is held there: what follows is encoded
 * behind, and leaves when credit comes, so order is kept and the encoded frames themselves are the queue.
 *
 * **Budget:** 0.15 us a frame (tests/bench/README.md, "Budgets").
 *
 * @module
 */
import { ProtocolError } from "../errors.ts";
import { le16, le32, u8 } from "../scalar.ts";
import { Chunk } from "./chunk.ts";
import type { SendCredits } from "./credits.ts";
import { type FrameType, HEADER, isPosted } from "./frame.ts";
import type { Incoming } from "./incoming.ts";
import type { LinkCounters } from "./options.ts";
import { advance, ahead, INITIAL_SEQUENCE } from "./sequence.ts";

/**
 * What one system call can hand to the network: larger writes find the peer busy with what came before, and need not
 * wake it. A request of 1 MiB fits, with what goes with it.
 */
const CHUNK_SIZE = 1088 * 1024;

export class Outgoing {
  /** Buffer of the frame that `begin` opened last. */
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView;
  /** Number of the frame encoded last, written last, and acknowledged last. */
  sequence = INITIAL_SEQUENCE;
  sentSequence = INITIAL_SEQUENCE;
  ackedSequence = INITIAL_SEQUENCE;
  /** Bytes held here, unsent or unacknowledged; counted by the chunk. */
  backlog = 0;
  /** Bytes of these that no transport has been given. */
  unsent = 0;
  readonly #credits: SendCredits;
  readonly #incoming: Incoming;
  readonly #counters: LinkCounters;
  readonly #chunkSize: number;
  /** Chunks, in use or not, up to which empty ones are kept. */
  readonly #kept: number;
  /** In order of sequence; the last one is being filled. */
  readonly #chunks: Chunk[];
  /** Empty ones, the last used last: it is most likely to be in the processor's cache. */
  readonly #spare: Chunk[] = [];
  /** The least number of spare chunks since `trim()`: so many were not needed. */
  #unused = 0;
  #tail: Chunk;
  #held = false;

  /** `usual`: bytes that are held here in the ordinary course of things; chunks for them are kept for reuse. */
  constructor(
    credits: SendCredits,
    incoming: Incoming,
    counters: LinkCounters,
    largestBody: number,
    usual: number,
  ) {
    this.#credits = credits;
    this.#incoming = incoming;
    this.#counters = counters;
    this.#chunkSize = Math.max(CHUNK_SIZE, 2 * (HEADER.size + largestBody));
    this.#kept = Math.floor(usual / this.#chunkSize) + 2;
    this.#tail = new Chunk(this.#chunkSize);
    this.#chunks = [this.#tail];
    this.bytes = this.#tail.bytes;
    this.view = this.#tail.view;
  }

  /** Bytes of all chunks, in use or spare. */
  get heldBytes(): number {
    return (this.#chunks.length + this.#spare.length) * this.#chunkSize;
  }

  /** Opens the next frame, its header written; returns the offset of its body in `bytes`, `length` bytes to fill. */
  begin(type: FrameType, code: number, tag: number, length: number): number {
    const size = HEADER.size + length;
    if (this.#tail.end + size > this.#chunkSize) this.#grow();
    const chunk = this.#tail;
    const at = chunk.end;
    const { view } = chunk;
    const sequence = this.sequence = advance(this.sequence, 1);
    chunk.end = at + size;
    chunk.lastSequence = sequence;
    this.backlog += size;
    this.unsent += size;
    this.#counters.framesSent++;
    if (!this.#held && isPosted(type) && !this.#credits.takePosted(length)) this.#held = true;
    u8.set(view, at + HEADER.at.type, type);
    u8.set(view, at + HEADER.at.code, code);
    le16.set(view, at + HEADER.at.tag, tag);
    le32.set(view, at + HEADER.at.length, length);
    le32.set(view, at + HEADER.at.sequence, sequence);
    if (this.#held) {
      le32.set(view, at + HEADER.at.ack, this.#incoming.sequence);
    } else {
      le32.set(view, at + HEADER.at.ack, this.#incoming.acknowledge());
      chunk.ready = chunk.end;
      chunk.readySequence = sequence;
    }
    return at + HEADER.size;
  }

  /** Cuts the body off the frame that `begin` opened last and gives it another code. Not for posted frames. */
  truncate(body: number, code: number): void {
    const chunk = this.#tail;
    const at = body - HEADER.size;
    u8.set(chunk.view, at + HEADER.at.code, code);
    le32.set(chunk.view, at + HEADER.at.length, 0);
    this.backlog -= chunk.end - body;
    this.unsent -= chunk.end - body;
    chunk.end = body;
    if (!this.#held) chunk.ready = body;
  }

  /** The next run of frames that may leave, or undefined. It must not change until `written()`. */
  nextSegment(): Uint8Array | undefined {
    for (const chunk of this.#chunks) {
      if (chunk.sent < chunk.ready) {
        const segment = chunk.bytes.subarray(chunk.sent, chunk.ready);
        chunk.sent = chunk.ready;
        chunk.writing = true;
        this.unsent -= segment.length;
        this.sentSequence = chunk.readySequence;
        return segment;
      }
    }
  }

  /** The last segment is with the network. */
  written(): void {
    for (const chunk of this.#chunks) chunk.writing = false;
    this.#recycle();
  }

  /** The peer has all frames up to `sequence`. @throws {ProtocolError} sequence, if it cannot have them */
  acknowledge(sequence: number): void {
    // An older one is not wrong: a frame that was held or replayed carries the number of its own day.
    if (ahead(sequence, this.ackedSequence) <= 0) return;
    if (ahead(sequence, this.sentSequence) > 0) {
      throw new ProtocolError(
        "sequence",
        `Cannot take acknowledgement of frame ${sequence}: last one sent is ${this.sentSequence}`,
      );
    }
    this.ackedSequence = sequence;
    this.#recycle();
  }

  /** New credit has come: lets as much of the held stream go as it allows. */
  release(): void {
    if (!this.#held) return;
    for (const chunk of this.#chunks) {
      while (chunk.ready < chunk.end) {
        const size = chunk.frameSize(chunk.ready);
        const posted = isPosted(u8.get(chunk.view, chunk.ready + HEADER.at.type));
        if (posted && !this.#credits.takePosted(size - HEADER.size)) return;
        chunk.readySequence = le32.get(chunk.view, chunk.ready + HEADER.at.sequence);
        chunk.ready += size;
      }
    }
    this.#held = false;
  }

  /**
   * A new transport: all that was sent after `received` is to be sent again. Returns the number of those frames.
   * @throws {ProtocolError} sequence, if the peer's count does not fit ours
   */
  rewind(received: number): number {
    if (ahead(received, this.ackedSequence) < 0) {
      throw new ProtocolError(
        "sequence",
        `Cannot resume after frame ${received}: ${this.ackedSequence} was acknowledged`,
      );
    }
    // The old transport is closed, and who resumes reads no more of it: its last write holds no chunk back.
    for (const chunk of this.#chunks) chunk.writing = false;
    this.acknowledge(received);
    this.#recycle();
    // Now the first chunk, if anything was sent from it, has the first frame to send again.
    for (const chunk of this.#chunks) {
      if (chunk.sent === 0) break;
      const from = chunk === this.#chunks[0] ? chunk.find(advance(received, 1)) : 0;
      this.unsent += chunk.sent - from;
      chunk.sent = from;
    }
    const replayed = ahead(this.sentSequence, received);
    this.sentSequence = received;
    return replayed;
  }

  /** Now and then: lets go of spare chunks that were not needed since the last time. */
  trim(): void {
    this.#spare.splice(0, this.#unused);
    this.#unused = this.#spare.length;
  }

  #grow(): void {
    const tail = this.#tail;
    if (tail.end === 0) return;
    this.#tail = this.#spare.pop() ?? new Chunk(this.#chunkSize);
    if (this.#spare.length < this.#unused) this.#unused = this.#spare.length;
    this.#chunks.push(this.#tail);
    this.bytes = this.#tail.bytes;
    this.view = this.#tail.view;
  }

  #recycle(): void {
    for (;;) {
      const head = this.#chunks[0]!;
      if (head.end === 0 || head.writing || ahead(head.lastSequence, this.ackedSequence) > 0) {
        return;
      }
      this.backlog -= head.end;
      head.clear();
      if (head === this.#tail) return;
      this.#chunks.shift();
      if (this.#chunks.length + this.#spare.length < this.#kept) this.#spare.push(head);
    }
  }
}
