/**
 * A Requester without a link: posted writes and messages wait in order until `deliver`, as frames on a wire do, then
 * are applied span by span to byte arrays and to a hook. What is not filled in an opened write shows as 0xa5.
 *
 * @module
 */
import type { MessageCode, Requester, Span, Width } from "../../protocol/mod.ts";

/** Memory that is reached at bus address `base`. */
export interface Target {
  readonly base: number;
  readonly bytes: Uint8Array;
}

interface Frame {
  readonly spans: readonly Span[];
  readonly bytes: Uint8Array;
  readonly message?: readonly [MessageCode, number, number];
}

export interface Hooks {
  /** A span that hits no target. */
  readonly register?: (address: number, bytes: Uint8Array) => void;
  readonly message?: (code: MessageCode, a: number, b: number) => void;
}

export class MemoryRequester implements Requester {
  readonly maxPayload: number;
  readonly frames: Frame[] = [];
  /** Every memory read made, in order. */
  readonly reads: Span[] = [];
  /** Calls of `flush`. */
  flushes = 0;
  #writable = true;
  #resume: (() => void)[] = [];
  readonly #targets: readonly Target[];
  readonly #hooks: Hooks;

  constructor(maxPayload: number, targets: readonly Target[], hooks: Hooks = {}) {
    this.maxPayload = maxPayload;
    this.#targets = targets;
    this.#hooks = hooks;
  }

  postWrite(address: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += this.maxPayload) {
      const part = bytes.subarray(at, at + this.maxPayload);
      this.openWrite([{ address: address + at, length: part.length }]).set(part);
    }
  }

  openWrite(spans: readonly Span[]): Uint8Array {
    const total = spans.reduce((sum, { length }) => sum + length, 0);
    if (total > this.maxPayload || spans.length > 1024 || spans.some((s) => !(s.length > 0))) {
      throw new RangeError(`Cannot open write: ${total} bytes, ${spans.length} spans`);
    }
    const bytes = new Uint8Array(total).fill(0xa5);
    this.frames.push({
      spans: spans.map(({ address, length }) => ({ address, length })),
      bytes,
    });
    return bytes;
  }

  message(code: MessageCode, a: number, b = 0): void {
    this.frames.push({ spans: [], bytes: new Uint8Array(0), message: [code, a, b] });
  }

  memoryRead(address: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    this.reads.push({ address, length });
    const { base, bytes } = this.#target(address, length)!;
    return Promise.resolve(bytes.slice(address - base, address - base + length));
  }

  configRead(_register: number, _width: Width): Promise<number> {
    throw new Error("no configuration space here");
  }
  configWrite(): Promise<void> {
    throw new Error("no configuration space here");
  }
  ioRead(_port: number, _width: Width): Promise<number> {
    throw new Error("no I/O space here");
  }
  ioWrite(): Promise<void> {
    throw new Error("no I/O space here");
  }
  flush(): void {
    this.flushes++;
  }

  get writable(): boolean {
    return this.#writable;
  }
  set writable(writable: boolean) {
    this.#writable = writable;
    if (!writable) return;
    const resume = this.#resume;
    this.#resume = [];
    for (const call of resume) call();
  }
  onWritable(resume: () => void): void {
    this.#resume.push(resume);
  }
  /** Calls that wait for `writable`. */
  get waiting(): number {
    return this.#resume.length;
  }

  /** Applies the oldest frame; false if there is none. */
  deliver(): boolean {
    const frame = this.frames.shift();
    if (frame === undefined) return false;
    if (frame.message) this.#hooks.message?.(...frame.message);
    let at = 0;
    for (const { address, length } of frame.spans) {
      const bytes = frame.bytes.subarray(at, at + length);
      const target = this.#target(address, length);
      if (target) target.bytes.set(bytes, address - target.base);
      else if (this.#hooks.register) this.#hooks.register(address, bytes);
      else throw new Error(`Unsupported request: ${length} bytes at ${address}`);
      at += length;
    }
    return true;
  }

  #target(address: number, length: number): Target | undefined {
    return this.#targets.find(({ base, bytes }) =>
      address >= base && address + length <= base + bytes.length
    );
  }
}
