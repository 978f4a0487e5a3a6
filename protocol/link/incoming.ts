/**
 * Receiving half of a session's bookkeeping: the last sequence number, and what we owe the peer for it.
 *
 * An acknowledgement costs nothing when a frame is going out anyway; otherwise it is sent when much has come in, or
 * after a short while.
 *
 * @module
 */
import { ProtocolError } from "../errors.ts";
import { ReceiveCredits } from "./credits.ts";
import type { LinkLimits } from "./limits.ts";
import { advance, INITIAL_SEQUENCE } from "./sequence.ts";

/** Bytes after which an acknowledgement does not wait: what the peer keeps for us is used again while it is in its cache. */
const ACK_BYTES = 512 * 1024;

export class Incoming {
  readonly credits: ReceiveCredits;
  /** Sequence number of the last frame received. */
  sequence = INITIAL_SEQUENCE;
  readonly #window: LinkLimits;
  #frames = 0;
  #bytes = 0;

  constructor(window: LinkLimits) {
    this.#window = window;
    this.credits = new ReceiveCredits(window);
  }

  /** Counts a frame of `bytes` in. @throws {ProtocolError} sequence, if it is not the next one */
  receive(sequence: number, bytes: number): void {
    const wanted = advance(this.sequence, 1);
    if (sequence !== wanted) {
      throw new ProtocolError("sequence", `Cannot take frame ${sequence}: wanted ${wanted}`);
    }
    this.sequence = sequence;
    this.#frames++;
    this.#bytes += bytes;
  }

  /** The acknowledgement for a frame that leaves now; it settles what is owed. */
  acknowledge(): number {
    this.#frames = 0;
    this.#bytes = 0;
    return this.sequence;
  }

  /** Something is unacknowledged or unreturned: a credit frame must follow sooner or later. */
  owes(answersTaken: boolean): boolean {
    return this.#frames > 0 || this.credits.owed(answersTaken);
  }

  /** So much is owed that the credit frame should leave now: {@linkcode ACK_BYTES}, or a quarter of a window. */
  due(answersTaken: boolean): boolean {
    return this.#bytes >= ACK_BYTES || 4 * this.#bytes >= this.#window.postedBytes ||
      4 * this.#frames >= this.#window.postedFrames || this.credits.due(answersTaken);
  }
}
