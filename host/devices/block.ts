/**
 * Block device (virtio 1.3 §5.2): what it offers, its configuration space, and its cache mode.
 *
 * One request queue; requests are in `block_requests.ts`. The device owns its backend and closes it.
 *
 * @module
 */
import { type BackendError, DriverError, u8, viewOf, virtioBlock } from "../../protocol/mod.ts";
import type { BlockBackend } from "../backends/types.ts";
import type { DeviceSession, DeviceSlot, VirtioDevice } from "../driver/virtio_device.ts";
import { BlockRequests, LIMITS } from "./block_requests.ts";

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
  readonly name: string;
  readonly type: number = virtioBlock.TYPE;
  readonly features: bigint;
  readonly queueSizes: readonly number[] = [QUEUE_SIZE];
  readonly pushLimits: readonly number[] = [PUSH_LIMIT];
  readonly #backend: BlockBackend;
  readonly #id: Uint8Array;
  readonly #onError: (error: BackendError) => void;
  #slot: DeviceSlot | undefined;
  #session: DeviceSession | undefined;
  #requests: BlockRequests | undefined;
  /** What the driver wrote, if it may (CONFIG_WCE). */
  #wish: boolean | undefined;

  constructor({ backend, id, onError }: BlockDeviceOptions) {
    this.name = `block ${backend.name}`;
    this.features = offered(backend);
    this.#backend = backend;
    this.#id = idBytes(id ?? backend.name.slice(backend.name.lastIndexOf("/") + 1));
    this.#onError = onError ?? (() => {});
  }

  config(): Uint8Array {
    const { sectors, blockSize } = this.#backend;
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
    });
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
