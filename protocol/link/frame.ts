/**
 * The frame: 16 bytes of header, then `length` bytes of body (protocol/README.md, "Frames").
 *
 * Types below 0x10 are control frames: sequence 0, never acknowledged, never replayed. All others are transactions in
 * one total order. What a header alone can get wrong is found by {@linkcode FrameRules} before any body is awaited.
 *
 * @module
 */
import { ProtocolError } from "../errors.ts";
import { layout } from "../layout.ts";
import { address64, le16, le32, u8 } from "../scalar.ts";
import { MAX_SPANS } from "./span_list.ts";

export const HEADER = layout({
  type: u8,
  /** Access width, completion status or goodbye reason; else 0. */
  code: u8,
  /** Tag of a request or completion, span count of a memory write, message code; else 0. */
  tag: le16,
  /** Bytes of the body. */
  length: le32,
  /** Of transaction frames; 0 in control frames. */
  sequence: le32,
  /** Last sequence number that the sender of this frame has received. */
  ack: le32,
});

export const TYPE = {
  goodbye: 0x01,
  credit: 0x02,
  ping: 0x03,
  pong: 0x04,
  memory_write: 0x10,
  message: 0x11,
  memory_read: 0x20,
  config_read: 0x21,
  config_write: 0x22,
  io_read: 0x23,
  io_write: 0x24,
  completion: 0x30,
} as const;
export type FrameType = (typeof TYPE)[keyof typeof TYPE];

export const isControl = (type: number): boolean => type < 0x10;
/** Posted frames are those that consume posted credit. */
export const isPosted = (type: number): boolean => type >= 0x10 && type < 0x20;

/** Completion status: PCI Express's numbers. */
export const STATUS = { successful: 0, unsupported_request: 1, completer_abort: 4 } as const;

/** One row of the table that opens the body of a memory write. */
export const SPAN = layout({ address: address64, length: le32 });
export const MESSAGE_BODY = layout({ a: le32, b: le32 });
export const MEMORY_READ = layout({ address: address64, length: le32 });
/** Configuration and I/O reads: register number or port. */
export const REGISTER_READ = layout({ register: le32 });
export const REGISTER_WRITE = layout({ register: le32, value: le32 });
/** Data of a completion of a configuration or I/O read. */
export const VALUE = layout({ value: le32 });
/** Cumulative counts, modulo 2^32, of what the sender of this frame is ready to receive. */
export const CREDIT = layout({ posted_bytes: le32, posted_frames: le32, non_posted: le32 });
export const PING = layout({ id: le32 });
/** Bytes of the UTF-8 text of a goodbye. */
export const GOODBYE_TEXT_MAX = 1024;

/** Shortest and longest body of each frame type, as fixed sizes; the negotiated ones come from the limits. */
const FIXED: readonly (readonly [FrameType, number, number])[] = [
  [TYPE.goodbye, 0, GOODBYE_TEXT_MAX],
  [TYPE.credit, CREDIT.size, CREDIT.size],
  [TYPE.ping, PING.size, PING.size],
  [TYPE.pong, PING.size, PING.size],
  [TYPE.message, MESSAGE_BODY.size, MESSAGE_BODY.size],
  [TYPE.memory_read, MEMORY_READ.size, MEMORY_READ.size],
  [TYPE.config_read, REGISTER_READ.size, REGISTER_READ.size],
  [TYPE.config_write, REGISTER_WRITE.size, REGISTER_WRITE.size],
  [TYPE.io_read, REGISTER_READ.size, REGISTER_READ.size],
  [TYPE.io_write, REGISTER_WRITE.size, REGISTER_WRITE.size],
];

/** Body lengths that a receiver takes, by frame type. */
export class FrameRules {
  readonly #low = new Int32Array(256).fill(-1);
  readonly #high = new Int32Array(256).fill(-1);

  constructor(maxPayload: number, maxReadRequest: number) {
    for (const [type, low, high] of FIXED) this.#set(type, low, high);
    this.#set(TYPE.memory_write, SPAN.size, MAX_SPANS * SPAN.size + maxPayload);
    this.#set(TYPE.completion, 0, maxReadRequest);
  }

  #set(type: number, low: number, high: number): void {
    this.#low[type] = low;
    this.#high[type] = high;
  }

  /** @throws {ProtocolError} malformed, if no frame of `type` has `length` bytes */
  check(type: number, length: number): void {
    const low = this.#low[type]!;
    if (low < 0) throw new ProtocolError("malformed", `Cannot read frame: unknown type ${type}`);
    if (length < low || length > this.#high[type]!) {
      throw new ProtocolError(
        "malformed",
        `Cannot read frame of type ${type}: body is ${length} bytes, wanted ${low} to ${
          this.#high[type]
        }`,
      );
    }
  }
}
