/**
 * Control frames: goodbye, credit, ping, pong. Each transport has its own; none is sequenced or replayed.
 *
 * At most one of each kind waits to be sent, so a peer that asks for many answers costs nothing.
 *
 * @module
 */
import { viewOf } from "../layout.ts";
import { le16, le32, u8 } from "../scalar.ts";
import { CREDIT, type FrameType, GOODBYE_TEXT_MAX, HEADER, PING, TYPE } from "./frame.ts";
import { GOODBYE, type GoodbyeReason } from "./goodbye.ts";
import type { Incoming } from "./incoming.ts";

/** A whole goodbye frame; `text` is cut at 1024 bytes of UTF-8. */
export function encodeGoodbye(reason: GoodbyeReason, text: string, ack = 0): Uint8Array {
  const bytes = new Uint8Array(HEADER.size + GOODBYE_TEXT_MAX);
  const { written } = new TextEncoder().encodeInto(text, bytes.subarray(HEADER.size));
  header(viewOf(bytes), 0, TYPE.goodbye, GOODBYE[reason], written, ack);
  return bytes.subarray(0, HEADER.size + written);
}

/** Name of a reason on the wire; one from a later version is taken for `shutdown`, its text tells the rest. */
export function goodbyeReason(code: number): GoodbyeReason {
  for (const [name, number] of Object.entries(GOODBYE)) {
    if (number === code) return name as GoodbyeReason;
  }
  return "shutdown";
}

/** Text of a goodbye: for people, from a stranger, so without control characters. */
export const goodbyeText = (bytes: Uint8Array): string =>
  new TextDecoder().decode(bytes).replaceAll(/\p{Cc}/gu, " ");

const SLOT = HEADER.size + CREDIT.size;

export class ControlFrames {
  /** What is to be sent next. */
  credit = false;
  #ping = 0;
  #pong = 0;
  readonly #incoming: Incoming;
  readonly #bytes = new Uint8Array(3 * SLOT);
  readonly #view = viewOf(this.#bytes);

  constructor(incoming: Incoming) {
    this.#incoming = incoming;
  }

  /** `id` is not 0. */
  ping(id: number): void {
    this.#ping = id;
  }
  pong(id: number): void {
    this.#pong = id;
  }

  /** The frames that wait, encoded; undefined if there are none. Valid until the next call. */
  take(answersTaken: boolean): Uint8Array | undefined {
    let end = 0;
    const view = this.#view;
    if (this.credit) {
      const { credits } = this.#incoming;
      credits.renew(answersTaken);
      end = header(view, end, TYPE.credit, 0, CREDIT.size, this.#incoming.acknowledge());
      le32.set(view, end + CREDIT.at.posted_bytes, credits.bytesLimit);
      le32.set(view, end + CREDIT.at.posted_frames, credits.framesLimit);
      le32.set(view, end + CREDIT.at.non_posted, credits.requestsLimit);
      end += CREDIT.size;
      this.credit = false;
    }
    if (this.#ping !== 0) {
      end = this.#heartbeat(end, TYPE.ping, this.#ping);
      this.#ping = 0;
    }
    if (this.#pong !== 0) {
      end = this.#heartbeat(end, TYPE.pong, this.#pong);
      this.#pong = 0;
    }
    return end === 0 ? undefined : this.#bytes.subarray(0, end);
  }

  #heartbeat(at: number, type: FrameType, id: number): number {
    const body = header(this.#view, at, type, 0, PING.size, this.#incoming.acknowledge());
    le32.set(this.#view, body, id);
    return body + PING.size;
  }
}

/** Writes a control frame's header at `at`; returns the offset of its body. */
function header(
  view: DataView,
  at: number,
  type: FrameType,
  code: number,
  length: number,
  ack: number,
): number {
  u8.set(view, at + HEADER.at.type, type);
  u8.set(view, at + HEADER.at.code, code);
  le16.set(view, at + HEADER.at.tag, 0);
  le32.set(view, at + HEADER.at.length, length);
  le32.set(view, at + HEADER.at.sequence, 0);
  le32.set(view, at + HEADER.at.ack, ack);
  return at + HEADER.size;
}
