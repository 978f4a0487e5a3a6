/**
 * Encodes what this side starts: posted writes and messages at once, non-posted requests as credit allows.
 *
 * Arguments are checked before a frame is opened, since an opened frame cannot be taken back.
 *
 * **Budget:** 0.1 us a posted write (tests/bench/README.md, "Budgets").
 *
 * @module
 */
import { LinkError } from "../errors.ts";
import { address64, le32 } from "../scalar.ts";
import { abortable, type Failable } from "./abortable.ts";
import { MESSAGE_BODY, SPAN, TYPE } from "./frame.ts";
import { MIN_PAYLOAD } from "./limits.ts";
import type { Outgoing } from "./outgoing.ts";
import type { PendingRequests } from "./pending.ts";
import { MemoryRead, ReadPiece, RegisterAccess, type RegisterType } from "./request.ts";
import { MAX_SPANS } from "./span_list.ts";
import type { MessageCode, Span, Width } from "./types.ts";

/** Bus addresses end here: protocol/scalar.ts. */
const ADDRESS_END = 2 ** 52;

export class Sender {
  /** As negotiated; until then nothing larger leaves than what any peer takes. */
  maxPayload = MIN_PAYLOAD;
  maxReadRequest = MIN_PAYLOAD;
  /** What is posted is dropped from now on, and requests fail. */
  closed = false;
  readonly #outgoing: Outgoing;
  readonly #pending: PendingRequests;
  readonly #encoded: () => void;

  /** `encoded` is called after each call that put something into `outgoing`. */
  constructor(outgoing: Outgoing, pending: PendingRequests, encoded: () => void) {
    this.#outgoing = outgoing;
    this.#pending = pending;
    this.#encoded = encoded;
  }

  postWrite(address: number, bytes: Uint8Array): void {
    checkSpan(address, bytes.length);
    if (this.closed) return;
    const { maxPayload } = this;
    for (let done = 0; done < bytes.length; done += maxPayload) {
      const piece = bytes.length <= maxPayload ? bytes : bytes.subarray(done, done + maxPayload);
      const at = this.#beginWrite(1, piece.length);
      this.#writeSpan(at, address + done, piece.length);
      this.#outgoing.bytes.set(piece, at + SPAN.size);
    }
    this.#encoded();
  }

  openWrite(spans: readonly Span[]): Uint8Array {
    let total = 0;
    for (const { address, length } of spans) {
      checkSpan(address, length);
      total += length;
    }
    if (spans.length < 1 || spans.length > MAX_SPANS || total > this.maxPayload) {
      throw new RangeError(
        `Cannot post write: ${total} bytes in ${spans.length} spans, ` +
          `wanted at most ${this.maxPayload} in 1 to ${MAX_SPANS}`,
      );
    }
    if (this.closed) return new Uint8Array(total);
    let at = this.#beginWrite(spans.length, total);
    for (const { address, length } of spans) {
      this.#writeSpan(at, address, length);
      at += SPAN.size;
    }
    this.#encoded();
    return this.#outgoing.bytes.subarray(at, at + total);
  }

  message(code: MessageCode, a: number, b: number): void {
    check32("message argument", a);
    check32("message argument", b);
    if (this.closed) return;
    const at = this.#outgoing.begin(TYPE.message, 0, code, MESSAGE_BODY.size);
    le32.set(this.#outgoing.view, at + MESSAGE_BODY.at.a, a);
    le32.set(this.#outgoing.view, at + MESSAGE_BODY.at.b, b);
    this.#encoded();
  }

  memoryRead(address: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkSpan(address, length);
    if (length === 0) throw new RangeError("Cannot read memory: length is 0");
    const read = new MemoryRead(length);
    if (!this.#admit(read, signal)) return read.promise;
    for (let at = 0; at < length; at += this.maxReadRequest) {
      const piece = Math.min(this.maxReadRequest, length - at);
      this.#pending.add(new ReadPiece(read, address + at, at, piece));
    }
    this.#encoded();
    return signal ? abortable(read, signal) : read.promise;
  }

  /** Configuration or I/O access: a write if there is a `value`. */
  access(
    type: RegisterType,
    register: number,
    width: Width,
    value: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    check32("register", register);
    if (value !== undefined) {
      check32("value", value);
      if (value >= 2 ** (8 * width)) {
        throw new RangeError(`Cannot write ${value}: it does not fit ${width} bytes`);
      }
    }
    const access = new RegisterAccess(type, register, width, value);
    if (!this.#admit(access, signal)) return access.promise;
    this.#pending.add(access);
    this.#encoded();
    return signal ? abortable(access, signal) : access.promise;
  }

  /** Opens a memory write; returns the offset of its first span row. */
  #beginWrite(spans: number, bytes: number): number {
    return this.#outgoing.begin(TYPE.memory_write, 0, spans, spans * SPAN.size + bytes);
  }

  #writeSpan(at: number, address: number, length: number): void {
    address64.set(this.#outgoing.view, at + SPAN.at.address, address);
    le32.set(this.#outgoing.view, at + SPAN.at.length, length);
  }

  /** False, with `request` failed, if it must not even start. */
  #admit(request: Failable<unknown>, signal: AbortSignal | undefined): boolean {
    if (signal?.aborted) request.fail(signal.reason);
    else if (this.closed) request.fail(new LinkError("Cannot send request: link is closed"));
    else return true;
    return false;
  }
}

function checkSpan(address: number, length: number): void {
  if (
    !(Number.isInteger(address) && address >= 0 && Number.isInteger(length) && length >= 0 &&
      address + length <= ADDRESS_END)
  ) {
    throw new RangeError(`Cannot address ${length} bytes at ${address}: wanted less than 2^52`);
  }
}

function check32(what: string, value: number): void {
  if (!(Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff)) {
    throw new RangeError(`Cannot send ${what} ${value}: wanted an unsigned 32-bit integer`);
  }
}
