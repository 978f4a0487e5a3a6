/**
 * Block device (virtio 1.3 §5.2): what it offers, its configuration space, and its cache mode.
 *
 * One request queue; requests are in `block_requests.ts`. The device owns its backend and closes it. The backend can be
 * made larger, or swapped for another one, while a driver runs; what was offered to the driver stays as it was.
 *
 * @module
 */
import { BackendError, DriverError, u8, viewOf, virtioBlock } from "../../protocol/mod.ts";
import type { BlockBackend } from "../backends/types.ts";
import type {
  DeviceSession,
  DeviceSlot,
  RequestTotals,
  VirtioDevice,
} from "../driver/virtio_device.ts";
import { BLOCK_REQUESTS, type BlockRequest, BlockRequests, LIMITS } from "./block_requests.ts";
import { RequestMeter } from "./request_meter.ts";
import { until } from "./until.ts";

const { CONFIG, FEATURE, ID_SIZE, SECTOR_SIZE } = virtioBlock;

/** Room for a header, a status and `LIMITS.segments` of data without indirect descriptors. */
const QUEUE_SIZE = LIMITS.segments + 2;
/** A write of 1 MiB arrives with its data, in one round trip. */
const PUSH_LIMIT = virtioBlock.REQUEST.size + 1024 * 1024;
/** Bytes below which a file system behind the backend has to read, change and write. */
const PHYSICAL_BLOCK = 4096;

export interface BlockDeviceOptions {
  readonly backend: BlockBackend;
  /** What GET_ID answers, cut to 20 bytes of ASCII: `/dev/disk/by-id/virtio-‹id›`. Last part of the backend's name if absent. */
  readonly id?: string;
  /** A request failed; said once for each. */
  readonly onError?: (error: BackendError) => void;
}

export class BlockDevice implements VirtioDevice {
  readonly type: number = virtioBlock.TYPE;
  readonly features: bigint;
  readonly queueSizes: readonly number[] = [QUEUE_SIZE];
  readonly pushLimits: readonly number[] = [PUSH_LIMIT];
  #backend: BlockBackend;
  /** Logical blocks as the driver was told: bytes. */
  readonly #blockSize: number;
  readonly #id: Uint8Array;
  readonly #onError: (error: BackendError) => void;
  readonly #meter = new RequestMeter<BlockRequest>(BLOCK_REQUESTS, QUEUE_SIZE);
  #slot: DeviceSlot | undefined;
  #session: DeviceSession | undefined;
  #requests: BlockRequests | undefined;
  /** What the driver wrote, if it may (CONFIG_WCE). */
  #wish: boolean | undefined;
  /** While the backend is swapped: gives it up when the device is closed. */
  #swapping: AbortController | undefined;
  #retired = false;

  constructor({ backend, id, onError }: BlockDeviceOptions) {
    this.features = offered(backend);
    this.#backend = backend;
    this.#blockSize = backend.blockSize;
    this.#id = idBytes(id ?? backend.name.slice(backend.name.lastIndexOf("/") + 1));
    this.#onError = onError ?? (() => {});
  }

  get name(): string {
    return `block ${this.#backend.name}`;
  }
  /** Of the same, what people ask for first. */
  get counters(): Readonly<Record<string, number>> {
    const { read, write, flush, discard, write_zeroes, ...others } = this.requests;
    const all = [read, write, flush, discard, write_zeroes, ...Object.values(others)];
    return {
      reads: read?.requests ?? 0,
      readBytes: read?.bytes ?? 0,
      writes: write?.requests ?? 0,
      writtenBytes: write?.bytes ?? 0,
      flushes: flush?.requests ?? 0,
      ranges: (discard?.requests ?? 0) + (write_zeroes?.requests ?? 0),
      errors: all.reduce((sum, totals) => sum + (totals?.failed ?? 0), 0),
      unsupported: all.reduce((sum, totals) => sum + (totals?.unsupported ?? 0), 0),
    };
  }
  get waiting(): string | undefined {
    return this.#backend.waiting;
  }
  get requests(): Partial<Record<BlockRequest, RequestTotals>> {
    return this.#meter.totals();
  }
  /** Bytes. */
  get size(): number {
    return this.#backend.sectors * SECTOR_SIZE;
  }

  /**
   * Gives the disk `size` bytes, or sees that its store has so many by now; the driver is told.
   * @throws {RangeError | BackendError} if that cannot be: it stays as it is
   */
  resize(size: number): void {
    const backend = this.#backend;
    if (this.#swapping) {
      throw new BackendError(`Cannot resize ${backend.name}: it is being swapped`);
    }
    if (!(size > 0) || size % this.#blockSize !== 0) {
      throw new RangeError(
        `Cannot resize ${backend.name} to ${size} bytes: wanted whole blocks of ${this.#blockSize}`,
      );
    }
    if (backend.resize === undefined) {
      throw new BackendError(
        `Cannot resize ${backend.name}: it has the size that its server gives it; swap it for itself when that has grown`,
      );
    }
    const before = this.size;
    backend.resize(size / SECTOR_SIZE);
    if (this.size !== before) this.#slot?.configChanged();
  }

  /**
   * Goes on with another backend: what is under way ends at the old one, which is flushed and closed; what comes
   * meanwhile waits in the queue. If it throws, the disk stays as it was, and `backend` the caller's.
   * @throws {BackendError} if the disk cannot be on `backend`, or the old one cannot be flushed; the signal's reason
   */
  async swap(backend: BlockBackend, signal: AbortSignal): Promise<void> {
    const old = this.#backend;
    this.#checkSwap(backend);
    const swapping = this.#swapping = new AbortController();
    const open = AbortSignal.any([signal, swapping.signal]);
    try {
      await until(this.#requests?.hold() ?? Promise.resolve(), open);
      await until(old.flush(open), open);
      this.#backend = backend;
    } finally {
      this.#swapping = undefined;
      this.#requests?.release(this.#backend);
    }
    if (backend.sectors !== old.sectors) this.#slot?.configChanged();
    await old[Symbol.asyncDispose]();
  }

  /** The disk is to be taken away: every request fails from now on. Resolves when none is under way. */
  async retire(signal: AbortSignal): Promise<void> {
    this.#retired = true;
    if (this.#requests) await until(this.#requests.retire(), signal);
  }

  /** @throws {BackendError} if a driver that was offered this disk cannot go on with `backend` */
  #checkSwap(backend: BlockBackend): void {
    const old = this.#backend;
    const why = this.#retired
      ? "it is being removed"
      : this.#swapping
      ? "it is being swapped"
      : backend.sectors < old.sectors
      ? `that has ${backend.sectors} sectors, wanted ${old.sectors} or more`
      : backend.blockSize > this.#blockSize
      ? `that has blocks of ${backend.blockSize} bytes, wanted ${this.#blockSize} or less`
      : backend.readOnly !== old.readOnly
      ? `${backend.readOnly ? "that" : "only the old one"} is read-only`
      : undefined;
    if (why === undefined) return;
    throw new BackendError(`Cannot swap ${old.name} for ${backend.name}: ${why}`);
  }

  config(): Uint8Array {
    const { sectors } = this.#backend;
    const blockSize = this.#blockSize;
    const physical = Math.max(PHYSICAL_BLOCK, blockSize);
    const bytes = new Uint8Array(CONFIG.size);
    CONFIG.write(viewOf(bytes), {
      capacity: sectors,
      size_max: LIMITS.segmentBytes,
      seg_max: LIMITS.segments,
      cylinders: 0,
      heads: 0,
      sectors: 0,
      blk_size: blockSize,
      physical_block_exp: Math.log2(physical / blockSize),
      alignment_offset: 0,
      min_io_size: physical / blockSize,
      opt_io_size: 0,
      writeback: this.#writeback ? 1 : 0,
      unused0: 0,
      num_queues: 0,
      max_discard_sectors: LIMITS.rangeSectors,
      max_discard_seg: LIMITS.ranges,
      discard_sector_alignment: physical / SECTOR_SIZE,
      max_write_zeroes_sectors: LIMITS.rangeSectors,
      max_write_zeroes_seg: LIMITS.ranges,
      write_zeroes_may_unmap: 1,
      unused1: 0,
      unused2: 0,
    });
    return bytes;
  }

  attached(slot: DeviceSlot): void {
    this.#slot = slot;
  }

  start(session: DeviceSession): void {
    const queue = session.queues[0];
    if (queue === undefined) {
      session.fail(new DriverError("queue-setup", "Cannot start block device: no request queue"));
      return;
    }
    const before = this.#writeback;
    this.#session = session;
    if ((session.features & FEATURE.CONFIG_WCE) === 0n) this.#wish = undefined;
    this.#writebackWas(before);
    this.#requests = new BlockRequests(session, queue, {
      backend: this.#backend,
      id: this.#id,
      writethrough: () => !this.#cached(),
      onError: this.#onError,
      meter: this.#meter,
    });
    if (this.#retired) void this.#requests.retire();
    if (this.#swapping) void this.#requests.hold();
    this.#requests.kick();
  }

  notified(_queue: number): void {
    this.#requests?.kick();
  }

  /** A write just behind DRIVER_OK may come before `start`, which then sees whether it was the driver's to make. */
  configWritten(offset: number, width: number, value: number): void {
    const features = this.#session?.features ?? FEATURE.CONFIG_WCE;
    if (
      (features & FEATURE.CONFIG_WCE) === 0n || offset !== CONFIG.at.writeback || width !== u8.size
    ) return;
    const before = this.#writeback;
    this.#wish = (value & 1) === 1;
    this.#writebackWas(before);
  }

  async stop(): Promise<void> {
    const requests = this.#requests;
    const before = this.#writeback;
    this.#requests = undefined;
    this.#session = undefined;
    await requests?.stop();
    this.#wish = undefined;
    this.#writebackWas(before);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#swapping?.abort(new BackendError(`Cannot swap ${this.#backend.name}: it was closed`));
    await this.stop();
    await this.#backend[Symbol.asyncDispose]();
  }

  /** `writeback` as the driver reads it. It begins as 0 for a driver that cannot flush (§5.2.5.2). */
  get #writeback(): boolean {
    const features = this.#session?.features ?? 0n;
    if ((features & FEATURE.CONFIG_WCE) === 0n) return this.#wish ?? true;
    return this.#wish ?? (features & FEATURE.FLUSH) !== 0n;
  }

  /** §5.2.6.2: without a cache mode field, who does not know FLUSH must not be cached. */
  #cached(): boolean {
    const features = this.#session?.features ?? 0n;
    if ((features & FEATURE.CONFIG_WCE) !== 0n) return this.#writeback;
    return (features & FEATURE.FLUSH) !== 0n;
  }

  #writebackWas(before: boolean): void {
    if (this.#writeback !== before) this.#slot?.configChanged();
  }
}

function offered(backend: BlockBackend): bigint {
  let features = FEATURE.SIZE_MAX | FEATURE.SEG_MAX | FEATURE.BLK_SIZE | FEATURE.TOPOLOGY |
    FEATURE.FLUSH | FEATURE.CONFIG_WCE;
  if (backend.readOnly) return features | FEATURE.RO;
  if (backend.discard !== undefined) features |= FEATURE.DISCARD;
  if (backend.writeZeroes !== undefined) features |= FEATURE.WRITE_ZEROES;
  return features;
}

function idBytes(id: string): Uint8Array {
  const bytes = new Uint8Array(ID_SIZE);
  new TextEncoder().encodeInto(id.replaceAll(/[^\x21-\x7e]/g, "_").slice(0, ID_SIZE), bytes);
  return bytes;
}
