/**
 * A non-posted request of ours, from call to completion: what to encode, and where the answer goes.
 *
 * @module
 */
import { ProtocolError } from "../errors.ts";
import { address64, le32 } from "../scalar.ts";
import {
  type FrameType,
  MEMORY_READ,
  REGISTER_READ,
  REGISTER_WRITE,
  TYPE,
  VALUE,
} from "./frame.ts";
import type { Width } from "./types.ts";

export interface Request {
  readonly type: FrameType;
  /** Code field of the header: the access width, or 0. */
  readonly code: number;
  /** Bytes of the request's body, and of data in a successful completion. */
  readonly bodyLength: number;
  readonly answerLength: number;
  /** Nobody waits any more; once encoded, the tag is still held until the answer comes. */
  readonly abandoned: boolean;
  encode(view: DataView, at: number): void;
  /** The data of a successful completion: `answerLength` bytes at `at`. Not kept. */
  succeed(bytes: Uint8Array, view: DataView, at: number): void;
  fail(error: Error): void;
}

const NOTHING = new Uint8Array(0);

/** One memory read of any length, in as many pieces as the negotiated read size makes of it. */
export class MemoryRead {
  readonly promise: Promise<Uint8Array>;
  bytes: Uint8Array;
  settled = false;
  #missing: number;
  readonly #resolve: (bytes: Uint8Array) => void;
  readonly #reject: (error: unknown) => void;

  constructor(length: number) {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.bytes = new Uint8Array(length);
    this.#missing = length;
  }

  arrived(count: number): void {
    this.#missing -= count;
    if (this.#missing === 0) {
      this.settled = true;
      this.#resolve(this.bytes);
    }
  }

  /** Its pieces may hold their tags for as long as the peer likes, but no buffer. */
  readonly fail = (error: unknown): void => {
    this.settled = true;
    this.bytes = NOTHING;
    this.#reject(error);
  };
}

export class ReadPiece implements Request {
  readonly type = TYPE.memory_read;
  readonly code = 0;
  readonly bodyLength: number = MEMORY_READ.size;
  readonly answerLength: number;
  readonly #read: MemoryRead;
  readonly #address: number;
  readonly #offset: number;

  /** Bytes `offset` to `offset + length` of `read`, from bus address `address`. */
  constructor(read: MemoryRead, address: number, offset: number, length: number) {
    this.#read = read;
    this.#address = address;
    this.#offset = offset;
    this.answerLength = length;
  }
  get abandoned(): boolean {
    return this.#read.settled;
  }
  encode(view: DataView, at: number): void {
    address64.set(view, at + MEMORY_READ.at.address, this.#address);
    le32.set(view, at + MEMORY_READ.at.length, this.answerLength);
  }
  succeed(bytes: Uint8Array, _view: DataView, at: number): void {
    if (this.#read.settled) return;
    this.#read.bytes.set(bytes.subarray(at, at + this.answerLength), this.#offset);
    this.#read.arrived(this.answerLength);
  }
  fail(error: Error): void {
    this.#read.fail(error);
  }
}

export type RegisterType =
  | typeof TYPE.config_read
  | typeof TYPE.config_write
  | typeof TYPE.io_read
  | typeof TYPE.io_write;

/** A configuration or I/O access. */
export class RegisterAccess implements Request {
  readonly promise: Promise<number>;
  readonly type: RegisterType;
  readonly code: Width;
  readonly bodyLength: number;
  readonly answerLength: number;
  abandoned = false;
  readonly #register: number;
  readonly #value: number | undefined;
  readonly #resolve: (value: number) => void;
  readonly #reject: (error: unknown) => void;

  /** A write if there is a `value`. */
  constructor(type: RegisterType, register: number, width: Width, value?: number) {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.type = type;
    this.code = width;
    this.#register = register;
    this.#value = value;
    this.bodyLength = value === undefined ? REGISTER_READ.size : REGISTER_WRITE.size;
    this.answerLength = value === undefined ? VALUE.size : 0;
  }
  encode(view: DataView, at: number): void {
    le32.set(view, at + REGISTER_WRITE.at.register, this.#register);
    if (this.#value !== undefined) le32.set(view, at + REGISTER_WRITE.at.value, this.#value);
  }
  succeed(_bytes: Uint8Array, view: DataView, at: number): void {
    const value = this.answerLength === 0 ? 0 : le32.get(view, at + VALUE.at.value);
    if (value >= 2 ** (8 * this.code)) {
      throw new ProtocolError(
        "malformed",
        `Cannot read completion: ${value} does not fit ${this.code} bytes`,
      );
    }
    this.#resolve(value);
  }
  readonly fail = (error: unknown): void => {
    this.abandoned = true;
    this.#reject(error);
  };
}
