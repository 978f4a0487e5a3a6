/**
 * The VirtioDevice interface: what the original offered as "virtio over PCIe ioctls" (add a device, take a chain,
 * copy, complete, change configuration), as two small interfaces. Devices implement {@linkcode VirtioDevice} and are
 * handed a {@linkcode DeviceSession} when the driver on the card is ready; they see neither PCIe nor TCP.
 *
 * @module
 */

/** One buffer of the driver: what the device may read, then what it may write (virtio 1.3 §2.7.4). */
export interface DescriptorChain {
  readonly head: number;
  /** Total bytes the device may read and write. */
  readonly readableLength: number;
  readonly writableLength: number;
  /**
   * The first readable bytes, already here: a view of the queue's staging area, valid until the chain is pushed. The
   * card can change them under our hands, so a field that is checked is copied first. `pushed.length` may be less
   * than `readableLength`: `DeviceQueue.fetch` has the rest.
   */
  readonly pushed: Uint8Array;
}

/** Device side of one virtqueue. All of it is local but for `fetch`. */
export interface DeviceQueue {
  readonly index: number;
  readonly size: number;
  /** Chains that hosts before this one gave back, modulo 2^16; 0 in a session that is not adopted. */
  readonly usedBefore: number;
  /** Next chain of the available ring, or undefined. @throws {DriverError} if it is malformed */
  pop(): DescriptorChain | undefined;
  /** True when `pop` would find a chain. */
  readonly pending: boolean;
  /**
   * All readable bytes: `chain.pushed` itself, or (above the push limit) read across the link.
   * @throws {DriverError} for more than any request needs, or when the card refuses its own memory
   */
  fetch(chain: DescriptorChain, signal: AbortSignal): Uint8Array | Promise<Uint8Array>;
  /** Copies `bytes` to the chain's writable bytes from `offset` on. @throws {RangeError} past the end */
  write(chain: DescriptorChain, offset: number, bytes: Uint8Array): void;
  /**
   * Zero-copy form of `write` for a source that fills memory at once: calls `fill` with one or more consecutive places
   * in the outgoing batch that together make `length` bytes from `offset` on. `fill` must not await or call the queue,
   * and must fill every byte; `at` counts bytes from `offset`. If `fill` throws, what it was given is sent as zeros and
   * the error is thrown on (the caller completes the chain with an error status).
   */
  writeWith(
    chain: DescriptorChain,
    offset: number,
    length: number,
    fill: (into: Uint8Array, at: number) => void,
  ): void;
  /** Gives `chain` back; `written` counts bytes stored. @throws {TypeError} if given back already */
  push(chain: DescriptorChain, written: number): void;
  /** Posts the used index for all pushed chains and rings the doorbell: once per batch. */
  publish(): void;
  /**
   * Whether `notified` shall be called for chains made available from now on; at first it is. A device that takes
   * chains only when it has something to put there turns it off, and on when it finds the queue empty: a chain that
   * comes meanwhile is not missed. Publishes too, if it changes anything.
   */
  wantMsi(wanted: boolean): void;
}

/** A started device: from DRIVER_OK to reset. */
export interface DeviceSession {
  /** Negotiated features. */
  readonly features: bigint;
  readonly queues: readonly (DeviceQueue | undefined)[];
  /**
   * The driver was served by a host process before this one, and goes on: what it told the device then is not told
   * again, but every chain that was not given back is here again.
   */
  readonly adopted: boolean;
  /** Aborted at reset: whatever the device still waits for ends then. */
  readonly signal: AbortSignal;
  /** Link back-pressure: false means stop popping; `onWritable` calls back once. */
  readonly writable: boolean;
  onWritable(resume: () => void): void;
  /** What was published leaves now, rather than at the end of this turn of the event loop. */
  flush(): void;
  /** Marks the device broken for the driver; every further call on its queues does nothing. */
  fail(error: unknown): void;
}

/** What a device gets when it is added to a card, for the time before and after sessions too. */
export interface DeviceSlot {
  /** Device configuration space changed: publishes `config` and interrupts the driver. */
  configChanged(): void;
}

/** Running totals of requests of one kind. */
export interface RequestTotals {
  /** Answered, in whatever way. */
  readonly requests: number;
  /** Moved by those that went well. */
  readonly bytes: number;
  /** Of all, from when the device saw them until it gave them back. */
  readonly seconds: number;
  /** How many took so long: each is in one bucket only, the last is above all bounds. */
  readonly buckets: readonly number[];
  /** Answered with an I/O error. */
  readonly failed: number;
  /** Answered as not supported. */
  readonly unsupported: number;
}

/** A virtio device of the host. One instance serves one slot of one card. */
export interface VirtioDevice extends AsyncDisposable {
  /** For logs: `block /path`, `net tap:mic0`. */
  readonly name: string;
  /** Virtio device type number (§5). */
  readonly type: number;
  /** Features offered, device bits only; the driver adds VERSION_1, INDIRECT_DESC and EVENT_IDX. */
  readonly features: bigint;
  /** Largest size of each queue. */
  readonly queueSizes: readonly number[];
  /** Device-readable bytes of one chain worth pushing, for sizing the staging areas; per queue. */
  readonly pushLimits: readonly number[];
  /** Running totals since the device was made, by name; for people and metrics. */
  readonly counters?: Readonly<Record<string, number>>;
  /** What its requests wait for, if its backend cannot serve them now: a sentence's end. */
  readonly waiting?: string | undefined;
  /** Requests by kind since the device was made, of a device that has such. */
  readonly requests?: Readonly<Record<string, RequestTotals | undefined>>;
  /** Current device configuration space, at most 256 bytes. */
  config(): Uint8Array;
  /** Called once, when it is given a slot. */
  attached(slot: DeviceSlot): void;
  /** DRIVER_OK. */
  start(session: DeviceSession): void;
  /** Available buffer notification: `queue` may have chains. Never throws for what a driver or backend did. */
  notified(queue: number): void;
  /** The driver wrote its device configuration space. Width in bytes; before DRIVER_OK too. */
  configWritten(offset: number, width: number, value: number): void;
  /** Reset. After it resolves the device touches no chain of that session any more. */
  stop(): Promise<void>;
}
