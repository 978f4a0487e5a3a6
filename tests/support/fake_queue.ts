/**
 * A device's queue and session without rings, link or card: the test makes chains available, and sees what came back.
 *
 * @module
 */
import type {
  DescriptorChain,
  DeviceQueue,
  DeviceSession,
  DeviceSlot,
} from "../../host/driver/virtio_device.ts";

/** What a test makes available. */
export interface ChainSpec {
  /** Device-readable bytes. */
  readonly readable?: Uint8Array;
  /** How many of them are pushed; all if absent. */
  readonly pushed?: number;
  /** Device-writable bytes. */
  readonly writable?: number;
}

/** A chain from the device's side (`DescriptorChain`) and from the driver's: what was written, whether it is used. */
export class FakeChain implements DescriptorChain {
  readonly readableLength: number;
  readonly writableLength: number;
  readonly pushed: Uint8Array;
  /** All device-writable bytes, 0xee where the device has not written. */
  readonly memory: Uint8Array;
  readonly #used = Promise.withResolvers<void>();
  /** Used length; undefined until the device gave the chain back. */
  written: number | undefined;
  readonly readable: Uint8Array;
  readonly head: number;

  constructor(spec: ChainSpec, head: number) {
    this.head = head;
    this.readable = spec.readable ?? new Uint8Array(0);
    this.readableLength = this.readable.length;
    this.writableLength = spec.writable ?? 0;
    this.pushed = this.readable.subarray(0, spec.pushed ?? this.readable.length);
    this.memory = new Uint8Array(this.writableLength).fill(0xee);
  }

  /** Last device-writable byte: where a block request has its status. */
  get status(): number {
    return this.memory[this.writableLength - 1]!;
  }
  /** Resolves when the used index that covers this chain was posted. */
  get used(): Promise<void> {
    return this.#used.promise;
  }
  /** For the queue. */
  markUsed(): void {
    this.#used.resolve();
  }
}

/** Largest piece that `writeWith` hands out at once, to see that devices do not count on one piece. */
const DEFAULT_PIECE = 1024 * 1024;

export class FakeQueue implements DeviceQueue {
  readonly index: number;
  readonly size: number;
  /** Set before it is given to a device. */
  usedBefore = 0;
  /** Largest place that `writeWith` hands out. */
  piece = DEFAULT_PIECE;
  /** Thrown by the next `pop`. */
  fault: unknown;
  /** Fetches do not complete until this resolves. */
  fetchGate: Promise<void> | undefined;
  /** Times that chains were given back. */
  publishes = 0;
  /** What the device said last. */
  wantsMsi = true;
  fetches = 0;
  writes = 0;
  /** Set by the session at reset: any later call is a device's mistake. */
  closed = false;
  readonly #available: FakeChain[] = [];
  readonly #popped = new Set<DescriptorChain>();
  #unpublished: FakeChain[] = [];
  readonly used: FakeChain[] = [];
  #heads = 0;

  constructor(index: number, size = 256) {
    this.index = index;
    this.size = size;
  }

  /** Driver side: makes a chain available. Tell the device with `notified`. */
  add(spec: ChainSpec): FakeChain {
    const chain = new FakeChain(spec, this.#heads++ % this.size);
    this.#available.push(chain);
    return chain;
  }
  get available(): number {
    return this.#available.length;
  }

  pop(): DescriptorChain | undefined {
    this.#check();
    if (this.fault !== undefined) {
      const fault = this.fault;
      this.fault = undefined;
      throw fault;
    }
    const chain = this.#available.shift();
    if (chain !== undefined) this.#popped.add(chain);
    return chain;
  }
  get pending(): boolean {
    return this.#available.length > 0;
  }
  fetch(chain: DescriptorChain, signal: AbortSignal): Uint8Array | Promise<Uint8Array> {
    this.#check(chain);
    const { readable } = chain as FakeChain;
    if (chain.pushed.length === readable.length) return chain.pushed;
    this.fetches++;
    return (this.fetchGate ?? Promise.resolve()).then(() => {
      signal.throwIfAborted();
      return readable.slice();
    });
  }
  write(chain: DescriptorChain, offset: number, bytes: Uint8Array): void {
    this.#check(chain);
    this.writes++;
    this.#place(chain, offset, bytes.length).set(bytes);
  }
  writeWith(
    chain: DescriptorChain,
    offset: number,
    length: number,
    fill: (into: Uint8Array, at: number) => void,
  ): void {
    this.#check(chain);
    const place = this.#place(chain, offset, length);
    for (let at = 0; at < length; at += this.piece) {
      const into = new Uint8Array(Math.min(this.piece, length - at)).fill(0xdd);
      try {
        fill(into, at);
      } catch (error) {
        place.subarray(at, at + into.length).fill(0);
        throw error;
      }
      place.set(into, at);
    }
  }
  push(chain: DescriptorChain, written: number): void {
    this.#check(chain);
    if (!this.#popped.delete(chain)) throw new TypeError(`Cannot push chain ${chain.head} twice`);
    const fake = chain as FakeChain;
    if (written > fake.writableLength) throw new RangeError(`Cannot use ${written} bytes`);
    fake.written = written;
    this.#unpublished.push(fake);
  }
  publish(): void {
    this.#check();
    const chains = this.#unpublished;
    if (chains.length > 0) this.publishes++;
    this.#unpublished = [];
    this.used.push(...chains);
    for (const chain of chains) chain.markUsed();
  }

  wantMsi(wanted: boolean): void {
    if (wanted === this.wantsMsi) return;
    this.wantsMsi = wanted;
    this.publish();
  }

  #place(chain: DescriptorChain, offset: number, length: number): Uint8Array {
    const { memory } = chain as FakeChain;
    if (offset + length > memory.length) {
      throw new RangeError(`Cannot write ${length} bytes at ${offset}: ${memory.length} writable`);
    }
    return memory.subarray(offset, offset + length);
  }
  #check(chain?: DescriptorChain): void {
    if (this.closed) throw new Error(`queue ${this.index} was touched after reset`);
    if (chain !== undefined && !this.#popped.has(chain)) {
      throw new Error(`chain ${chain.head} was touched after it was given back`);
    }
  }
}

export class FakeSession implements DeviceSession {
  readonly queues: readonly FakeQueue[];
  readonly features: bigint;
  /** Set before it is given to a device. */
  adopted = false;
  readonly #abort = new AbortController();
  readonly #waiting: (() => void)[] = [];
  /** Calls of `flush`. */
  flushes = 0;
  /** What the device failed with. */
  failure: unknown;
  #writable = true;

  constructor(queues: readonly number[], features: bigint) {
    this.queues = queues.map((size, index) => new FakeQueue(index, size));
    this.features = features;
  }
  get signal(): AbortSignal {
    return this.#abort.signal;
  }
  get writable(): boolean {
    return this.#writable;
  }
  /** Fills the link (false), or drains it. */
  set writable(writable: boolean) {
    this.#writable = writable;
    if (writable) { for (const resume of this.#waiting.splice(0)) resume(); }
  }
  onWritable(resume: () => void): void {
    if (this.#writable) queueMicrotask(resume);
    else this.#waiting.push(resume);
  }
  flush(): void {
    this.flushes++;
  }
  fail(error: unknown): void {
    this.failure ??= error;
  }
  /** Card reset, first half: waits end. */
  abort(): void {
    this.#abort.abort(new DOMException("device reset", "AbortError"));
  }
  /** Card reset, second half, after the device's `stop()`: touching a queue is a mistake now. */
  close(): void {
    for (const queue of this.queues) queue.closed = true;
  }
}

/** Counts configuration changes. */
export class FakeSlot implements DeviceSlot {
  changes = 0;
  configChanged(): void {
    this.changes++;
  }
}
