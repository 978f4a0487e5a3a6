/**
 * Credits: how much a side may have in flight, so that memory is bounded whatever the peer does.
 *
 * As in PCI Express, both sides count up from the start of the session and a credit frame carries the *limit* of the
 * count, so a lost or repeated credit frame changes nothing. Posted credit is counted in frames and in bytes of their
 * bodies, non-posted credit in requests; room for completions is reserved by the requester.
 *
 * Counters are 32 bits and wrap.
 *
 * @module
 */
import { ProtocolError } from "../errors.ts";
import { advance, ahead } from "./sequence.ts";
import { type LinkLimits, MAX_WINDOW } from "./limits.ts";

/** How much a side may still send. */
export interface Credit {
  /** Bytes of posted frames' bodies. */
  readonly postedBytes: number;
  readonly postedFrames: number;
  /** Requests. */
  readonly nonPosted: number;
}

/** What the peer lets us send. Starts with none. */
export class SendCredits {
  #bytes = 0;
  #frames = 0;
  #requests = 0;
  #bytesLimit = 0;
  #framesLimit = 0;
  #requestsLimit = 0;

  /** Takes credit for one posted frame with `bytes` of body; false, and takes none, if there is not enough. */
  takePosted(bytes: number): boolean {
    const after = advance(this.#bytes, bytes);
    if (ahead(this.#bytesLimit, after) < 0 || this.#frames === this.#framesLimit) return false;
    this.#bytes = after;
    this.#frames = advance(this.#frames, 1);
    return true;
  }

  /** Takes credit for one non-posted request. */
  takeNonPosted(): boolean {
    if (this.#requests === this.#requestsLimit) return false;
    this.#requests = advance(this.#requests, 1);
    return true;
  }

  /** What may be sent now. */
  get available(): Credit {
    return {
      postedBytes: ahead(this.#bytesLimit, this.#bytes),
      postedFrames: ahead(this.#framesLimit, this.#frames),
      nonPosted: ahead(this.#requestsLimit, this.#requests),
    };
  }

  /** New limits from the peer. @throws {ProtocolError} flow_control, if one goes back or is out of all proportion */
  update(bytes: number, frames: number, requests: number): void {
    check("posted bytes", bytes, this.#bytesLimit, this.#bytes);
    check("posted frames", frames, this.#framesLimit, this.#frames);
    check("non-posted requests", requests, this.#requestsLimit, this.#requests);
    this.#bytesLimit = bytes;
    this.#framesLimit = frames;
    this.#requestsLimit = requests;
  }
}

function check(what: string, limit: number, before: number, used: number): void {
  if (ahead(limit, before) < 0 || ahead(limit, used) < 0 || ahead(limit, used) > MAX_WINDOW) {
    throw new ProtocolError(
      "flow_control",
      `Cannot take credit for ${what}: limit ${limit} after ${before} with ${used} used`,
    );
  }
}

/** What we let the peer send, and what it has sent. */
export class ReceiveCredits {
  readonly #window: LinkLimits;
  #bytes = 0;
  #frames = 0;
  #requests = 0;
  /** Limits as last announced: what the peer is held to. */
  bytesLimit: number;
  framesLimit: number;
  requestsLimit: number;

  constructor(window: LinkLimits) {
    this.#window = window;
    this.bytesLimit = window.postedBytes;
    this.framesLimit = window.postedFrames;
    this.requestsLimit = window.nonPosted;
  }

  /** @throws {ProtocolError} flow_control */
  receivedPosted(bytes: number): void {
    this.#bytes = advance(this.#bytes, bytes);
    this.#frames = advance(this.#frames, 1);
    if (ahead(this.bytesLimit, this.#bytes) < 0 || ahead(this.framesLimit, this.#frames) < 0) {
      throw new ProtocolError("flow_control", "Cannot take posted frame: it is beyond the credit");
    }
  }

  /** @throws {ProtocolError} flow_control */
  receivedNonPosted(): void {
    this.#requests = advance(this.#requests, 1);
    if (ahead(this.requestsLimit, this.#requests) < 0) {
      throw new ProtocolError("flow_control", "Cannot take request: it is beyond the credit");
    }
  }

  /**
   * True when something was received that the announced limits do not give back yet. Requests count only if
   * `answersTaken`: a peer that asks for data and reads none of it must not make us hold any amount.
   */
  owed(answersTaken: boolean): boolean {
    return ahead(this.bytesLimit, this.#bytes) < this.#window.postedBytes ||
      ahead(this.framesLimit, this.#frames) < this.#window.postedFrames ||
      (answersTaken && ahead(this.requestsLimit, this.#requests) < this.#window.nonPosted);
  }

  /** True when so much is owed that the peer might soon stop for it: a quarter of a window. */
  due(answersTaken: boolean): boolean {
    const { postedBytes, postedFrames, nonPosted } = this.#window;
    return 4 * ahead(this.bytesLimit, this.#bytes) <= 3 * postedBytes ||
      4 * ahead(this.framesLimit, this.#frames) <= 3 * postedFrames ||
      (answersTaken && 4 * ahead(this.requestsLimit, this.#requests) <= 3 * nonPosted);
  }

  /** Gives back all that was received, since it was applied at once. */
  renew(answersTaken: boolean): void {
    this.bytesLimit = advance(this.#bytes, this.#window.postedBytes);
    this.framesLimit = advance(this.#frames, this.#window.postedFrames);
    if (answersTaken) this.requestsLimit = advance(this.#requests, this.#window.nonPosted);
  }
}
