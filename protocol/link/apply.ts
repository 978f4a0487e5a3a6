/**
 * Applies the peer's transactions to the completer, and answers the non-posted ones.
 *
 * What nobody claims (UnsupportedRequest) costs the peer that request and nothing else; what breaks the format is a
 * ProtocolError; whatever else a completer throws is a fault of ours and is thrown on.
 *
 * **Budget:** 0.15 us a posted write of three spans (tests/bench/README.md, "Budgets").
 *
 * @module
 */
import { ProtocolError, UnsupportedRequest } from "../errors.ts";
import { address64, le32 } from "../scalar.ts";
import { MEMORY_READ, MESSAGE_BODY, REGISTER_WRITE, SPAN, STATUS, TYPE, VALUE } from "./frame.ts";
import type { LinkCounters } from "./options.ts";
import type { Outgoing } from "./outgoing.ts";
import type { FrameReader } from "./reader.ts";
import { MAX_SPANS } from "./span_list.ts";
import { type Completer, MESSAGE, type Width } from "./types.ts";

/** PCI Express message code ERR_NONFATAL. */
const ERR_NONFATAL = 0x31;

export class Applier {
  /** Largest memory read the peer may ask for, in bytes. */
  maxReadRequest = 0;
  readonly #completer: Completer;
  readonly #outgoing: Outgoing;
  readonly #counters: LinkCounters;

  constructor(completer: Completer, outgoing: Outgoing, counters: LinkCounters) {
    this.#completer = completer;
    this.#outgoing = outgoing;
    this.#counters = counters;
  }

  /** `report`: tell the peer of a write that nobody claims. It is not told while its answers pile up here. */
  memoryWrite(frame: FrameReader, report: boolean): void {
    const { bytes, view, body, tag: spans } = frame;
    let data = body + spans * SPAN.size;
    const end = body + frame.length;
    if (spans < 1 || spans > MAX_SPANS || data > end || frame.code !== 0) {
      throw malformed(`memory write of ${spans} spans in ${frame.length} bytes`);
    }
    // The whole table is checked before anything is applied.
    let total = 0;
    for (let at = body; at < data; at += SPAN.size) total += le32.get(view, at + SPAN.at.length);
    if (data + total !== end) {
      throw malformed(`memory write of ${total} bytes with ${end - data} bytes of data`);
    }
    for (let row = 0; row < spans; row++) {
      const at = body + row * SPAN.size;
      const length = le32.get(view, at + SPAN.at.length);
      if (length === 0) continue;
      try {
        this.#completer.memoryWrite(
          address64.get(view, at + SPAN.at.address),
          bytes.subarray(data, data + length),
        );
      } catch (error) {
        this.#unsupported(error);
        if (report) {
          const low = le32.get(view, at + SPAN.at.address);
          const answer = this.#outgoing.begin(TYPE.message, 0, MESSAGE.error, MESSAGE_BODY.size);
          le32.set(this.#outgoing.view, answer + MESSAGE_BODY.at.a, ERR_NONFATAL);
          le32.set(this.#outgoing.view, answer + MESSAGE_BODY.at.b, low);
          report = false;
        }
      }
      data += length;
    }
  }

  message(frame: FrameReader): void {
    if (frame.code !== 0) throw malformed(`message with ${frame.code} in a reserved field`);
    const { view, body } = frame;
    const a = le32.get(view, body + MESSAGE_BODY.at.a);
    const b = le32.get(view, body + MESSAGE_BODY.at.b);
    try {
      this.#completer.message(frame.tag, a, b);
    } catch (error) {
      // Counted, and no more: an answer to an error message could be answered in turn.
      this.#unsupported(error);
    }
  }

  memoryRead(frame: FrameReader): void {
    const address = address64.get(frame.view, frame.body + MEMORY_READ.at.address);
    const length = le32.get(frame.view, frame.body + MEMORY_READ.at.length);
    if (frame.code !== 0 || length < 1 || length > this.maxReadRequest) {
      throw malformed(`memory read of ${length} bytes, wanted 1 to ${this.maxReadRequest}`);
    }
    const out = this.#outgoing;
    const at = out.begin(TYPE.completion, STATUS.successful, frame.tag, length);
    const { sequence } = out;
    try {
      this.#completer.memoryRead(address, out.bytes.subarray(at, at + length));
    } catch (error) {
      this.#unsupported(error);
      out.truncate(at, STATUS.unsupported_request);
    }
    if (out.sequence !== sequence) {
      throw new TypeError("Cannot complete memory read: its completer sent a frame meanwhile");
    }
  }

  register(frame: FrameReader): void {
    const { view, body, tag } = frame;
    const width = frame.code;
    if (width !== 1 && width !== 2 && width !== 4) throw malformed(`access of ${width} bytes`);
    const out = this.#outgoing;
    let value: number | undefined;
    try {
      value = this.#access(frame.type, view, body, width);
    } catch (error) {
      this.#unsupported(error);
      out.begin(TYPE.completion, STATUS.unsupported_request, tag, 0);
      return;
    }
    if (value === undefined) {
      out.begin(TYPE.completion, STATUS.successful, tag, 0);
    } else {
      const at = out.begin(TYPE.completion, STATUS.successful, tag, VALUE.size);
      le32.set(out.view, at, value);
    }
  }

  #access(type: number, view: DataView, body: number, width: Width): number | undefined {
    const register = le32.get(view, body + REGISTER_WRITE.at.register);
    if (type === TYPE.config_read) return this.#completer.configRead(register, width);
    if (type === TYPE.io_read) return this.#completer.ioRead(register, width);
    const value = le32.get(view, body + REGISTER_WRITE.at.value);
    if (width < 4 && value >= 2 ** (8 * width)) {
      throw malformed(`write of ${value} to ${width} bytes`);
    }
    if (type === TYPE.config_write) this.#completer.configWrite(register, width, value);
    else this.#completer.ioWrite(register, width, value);
  }

  #unsupported(error: unknown): void {
    if (!(error instanceof UnsupportedRequest)) throw error;
    this.#counters.unsupported++;
  }
}

const malformed = (what: string): ProtocolError =>
  new ProtocolError("malformed", `Cannot take ${what}`);
