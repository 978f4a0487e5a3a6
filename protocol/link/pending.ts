/**
 * Non-posted requests: those that wait for credit, and by tag those that wait for their completion.
 *
 * An abandoned request keeps its tag until it is answered; one that still waits for credit is dropped unsent, so what
 * waits here is what somebody waits for, however long a peer gives no credit.
 *
 * @module
 */
import { type LinkError, ProtocolError, UnsupportedRequest } from "../errors.ts";
import type { SendCredits } from "./credits.ts";
import { STATUS } from "./frame.ts";
import type { Outgoing } from "./outgoing.ts";
import type { FrameReader } from "./reader.ts";
import type { Request } from "./request.ts";

const TAGS = 2 ** 16;
/** Requests that wait before those which nobody waits for any more are looked for. */
const SWEEP_FROM = 64;

export class PendingRequests {
  readonly #credits: SendCredits;
  readonly #outgoing: Outgoing;
  readonly #byTag: (Request | undefined)[] = [];
  readonly #freeTags: number[] = [];
  /** A queue: those before `#first` are gone. */
  #waiting: Request[] = [];
  #first = 0;
  #sweepAt = SWEEP_FROM;

  constructor(credits: SendCredits, outgoing: Outgoing) {
    this.#credits = credits;
    this.#outgoing = outgoing;
  }

  /** Encodes `request` now, or when there is credit for it; order is kept. */
  add(request: Request): void {
    if (this.#first === this.#waiting.length && this.#start(request)) return;
    if (this.#waiting.length >= this.#sweepAt) this.#sweep();
    this.#waiting.push(request);
  }

  /** Requests that wait for credit, those included that were given up and not yet dropped. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** New credit has come, or a tag. */
  release(): void {
    while (this.#first < this.#waiting.length) {
      const request = this.#waiting[this.#first]!;
      if (!request.abandoned && !this.#start(request)) return;
      this.#first++;
    }
    if (this.#first > 0) {
      this.#waiting = [];
      this.#first = 0;
    }
  }

  /** The completion that `frame` stands on. @throws {ProtocolError} tag or malformed */
  complete(frame: FrameReader): void {
    const request = this.#byTag[frame.tag];
    if (request === undefined) {
      throw new ProtocolError("tag", `Cannot match completion: tag ${frame.tag} is not in flight`);
    }
    const ok = frame.code === STATUS.successful;
    if (!ok && frame.code !== STATUS.unsupported_request && frame.code !== STATUS.completer_abort) {
      throw new ProtocolError("malformed", `Cannot read completion: status is ${frame.code}`);
    }
    const wanted = ok ? request.answerLength : 0;
    if (frame.length !== wanted) {
      throw new ProtocolError(
        "malformed",
        `Cannot read completion: data is ${frame.length} bytes, wanted ${wanted}`,
      );
    }
    // A completion that breaks the rules after all leaves its request to failAll.
    if (ok) request.succeed(frame.bytes, frame.view, frame.body);
    else {
      request.fail(
        new UnsupportedRequest(
          frame.code === STATUS.unsupported_request
            ? "Cannot complete request: nobody claims it"
            : "Cannot complete request: aborted by its completer",
        ),
      );
    }
    this.#byTag[frame.tag] = undefined;
    this.#freeTags.push(frame.tag);
    this.release();
  }

  /** The session is over. */
  failAll(cause: LinkError): void {
    for (const request of this.#byTag) request?.fail(cause);
    for (const request of this.#waiting.slice(this.#first)) request.fail(cause);
    this.#byTag.length =
      this.#freeTags.length =
      this.#waiting.length =
      this.#first =
        0;
  }

  /** Lets go of what has started or was given up. The next sweep comes at twice what is left: a constant for each. */
  #sweep(): void {
    this.#waiting = this.#waiting.slice(this.#first).filter((request) => !request.abandoned);
    this.#first = 0;
    this.#sweepAt = Math.max(SWEEP_FROM, 2 * this.#waiting.length);
  }

  #start(request: Request): boolean {
    if (this.#freeTags.length === 0 && this.#byTag.length === TAGS) return false;
    if (!this.#credits.takeNonPosted()) return false;
    const tag = this.#freeTags.pop() ?? this.#byTag.length;
    this.#byTag[tag] = request;
    const at = this.#outgoing.begin(request.type, request.code, tag, request.bodyLength);
    request.encode(this.#outgoing.view, at);
    return true;
  }
}
