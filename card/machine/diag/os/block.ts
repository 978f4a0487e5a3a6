/**
 * Block driver of the diagnostic OS (virtio 1.3 §5.2), and the load generator of the benchmarks: a fixed set of
 * request slots, made once, so that a request costs no allocation and no promise. {@linkcode Disk} is the comfortable
 * way to the same queue.
 *
 * @module
 */
import {
  type BufferSegment,
  DeviceError,
  type DriverQueue,
  FEATURE as VIRTIO_FEATURE,
  hasFeature,
  le32,
  u8,
  type UsedChain,
  viewOf,
  virtioBlock,
} from "../../../../protocol/mod.ts";
import type { Board } from "../board.ts";
import type { Heap } from "./heap.ts";
import type { VirtioDriver, VirtioTransport } from "./virtio.ts";

const { CONFIG, FEATURE, RANGE, REQUEST, REQUEST_TYPE, SECTOR_SIZE, STATUS } = virtioBlock;

const WANTED = FEATURE.SIZE_MAX | FEATURE.SEG_MAX | FEATURE.RO | FEATURE.BLK_SIZE | FEATURE.FLUSH |
  FEATURE.TOPOLOGY | FEATURE.DISCARD | FEATURE.WRITE_ZEROES;

/** Requests in flight at most. */
const SLOTS = 128;
/** Data descriptors of one request at most; header and status stand beside them. */
const MAX_SEGMENTS = 30;
/** Longer rings than the slots need, where a device has them: what a ring's length costs can be measured. */
const QUEUE = { size: 1024, indirect: MAX_SEGMENTS + 2 };

/** Ends a request: its status byte, and the number it was submitted with. */
export type Done = (status: number, tag: number) => void;
/** Status of a request that never came back because the device broke or the OS stops. */
export const STATUS_LOST = 0xff;

const UNUSED: Done = () => {};

/** Where one request keeps its header, range and status. */
interface Slot {
  readonly header: BufferSegment;
  readonly range: BufferSegment;
  readonly status: BufferSegment;
  /** The data of the common case, one segment; rewritten by each request. */
  readonly data: { address: number; length: number };
  readonly reading: readonly BufferSegment[];
  readonly writing: readonly BufferSegment[];
  readonly headerOnly: readonly BufferSegment[];
  readonly statusOnly: readonly BufferSegment[];
  done: Done;
  tag: number;
}

export class BlockDriver implements VirtioDriver {
  readonly transport: VirtioTransport;
  readonly readOnly: boolean;
  readonly blockSize: number;
  readonly canFlush: boolean;
  readonly canDiscard: boolean;
  readonly canWriteZeroes: boolean;
  /** Bytes of data of one request at most. */
  readonly maxData: number;
  readonly #view: DataView;
  readonly #queue: DriverQueue;
  readonly #segmentMax: number;
  readonly #idle: Slot[] = [];
  readonly #byHead: (Slot | undefined)[];
  readonly #used: UsedChain = { head: 0, written: 0 };
  #sectors: number;
  #inFlight = 0;
  #failure: Error | undefined;
  /** Called after completions freed slots. */
  onIdle: () => void = () => {};
  onConfig: () => void = () => {};

  static async open(
    board: Board,
    heap: Heap,
    transport: VirtioTransport,
    signal: AbortSignal,
  ): Promise<BlockDriver> {
    await transport.negotiate(WANTED, signal);
    const queue = transport.queue(0, QUEUE);
    if (!queue) throw new DeviceError("Cannot drive disk: it has no request queue");
    const driver = new BlockDriver(board, heap, transport, queue);
    transport.start(driver);
    return driver;
  }

  private constructor(board: Board, heap: Heap, transport: VirtioTransport, queue: DriverQueue) {
    this.transport = transport;
    this.#view = board.view;
    this.#queue = queue;
    this.#byHead = new Array(queue.size).fill(undefined);
    const features = transport.features;
    const has = (bit: bigint) => (features & bit) !== 0n;
    const config = readConfig(transport);
    this.#sectors = config.capacity;
    this.readOnly = has(FEATURE.RO);
    this.blockSize = has(FEATURE.BLK_SIZE) ? config.blk_size : SECTOR_SIZE;
    this.canFlush = has(FEATURE.FLUSH);
    this.canDiscard = has(FEATURE.DISCARD);
    this.canWriteZeroes = has(FEATURE.WRITE_ZEROES);
    const indirect = hasFeature(features, VIRTIO_FEATURE.INDIRECT_DESC);
    const room = indirect ? MAX_SEGMENTS : Math.min(MAX_SEGMENTS, queue.size - 2);
    const segments = has(FEATURE.SEG_MAX) && config.seg_max > 0
      ? Math.min(config.seg_max, room)
      : room;
    this.#segmentMax = has(FEATURE.SIZE_MAX) && config.size_max > 0 ? config.size_max : 1 << 20;
    this.maxData = Math.max(
      SECTOR_SIZE,
      Math.floor(Math.min(1 << 20, segments * this.#segmentMax) / SECTOR_SIZE) * SECTOR_SIZE,
    );
    const size = 64;
    const area = heap.allocate(SLOTS * size, size).address;
    for (let i = 0; i < SLOTS; i++) this.#idle.push(makeSlot(area + i * size));
  }

  /** Capacity, in sectors of 512 bytes. */
  get sectors(): number {
    return this.#sectors;
  }

  /** The device broke, or the OS stops: nothing is taken any more, and memory it was given may still be written. */
  get lost(): boolean {
    return this.#failure !== undefined;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Adds a request whose data lies at `address`; false if there is no room now (`onIdle` says when). The device hears
   * of it with the next {@linkcode kick}. `length` is at most `maxData`; sectors are not checked here.
   */
  submit(
    type: number,
    sector: number,
    address: number,
    length: number,
    done: Done,
    tag: number,
  ): boolean {
    const slot = this.#take(done, tag);
    if (!slot) return false;
    this.#header(slot, type, sector);
    const reads = type === REQUEST_TYPE.IN || type === REQUEST_TYPE.GET_ID;
    let readable = slot.headerOnly;
    let writable = slot.statusOnly;
    if (length > this.#segmentMax) {
      const data = this.#pieces(address, length);
      if (reads) writable = [...data, slot.status];
      else readable = [slot.header, ...data];
    } else if (length > 0) {
      slot.data.address = address;
      slot.data.length = length;
      if (reads) writable = slot.reading;
      else readable = slot.writing;
    }
    return this.#add(slot, readable, writable);
  }

  /** The same for DISCARD and WRITE_ZEROES of one range. */
  submitRange(
    type: number,
    sector: number,
    count: number,
    flags: number,
    done: Done,
    tag: number,
  ): boolean {
    const slot = this.#take(done, tag);
    if (!slot) return false;
    this.#header(slot, type, 0);
    RANGE.write(this.#view, { sector, num_sectors: count, flags }, slot.range.address);
    return this.#add(slot, [slot.header, slot.range], slot.statusOnly);
  }

  /** Shows the device what was submitted: once a batch. */
  kick(): void {
    this.transport.kick(0);
  }

  used(): void {
    const queue = this.#queue;
    const used = this.#used;
    do {
      while (queue.popUsed(used)) {
        const slot = this.#byHead[used.head]!;
        this.#byHead[used.head] = undefined;
        const status = u8.get(this.#view, slot.status.address);
        const { done, tag } = slot;
        slot.done = UNUSED;
        this.#idle.push(slot);
        this.#inFlight--;
        done(status, tag);
      }
    } while (!queue.awaitUsed());
    this.onIdle();
    this.kick();
  }

  configChanged(): void {
    this.#sectors = readConfig(this.transport).capacity;
    this.onConfig();
  }

  failed(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    for (const [head, slot] of this.#byHead.entries()) {
      if (!slot) continue;
      this.#byHead[head] = undefined;
      this.#inFlight--;
      slot.done(STATUS_LOST, slot.tag);
    }
    this.onIdle();
  }

  #take(done: Done, tag: number): Slot | undefined {
    if (this.#failure) throw this.#failure;
    const slot = this.#idle.pop();
    if (slot) {
      slot.done = done;
      slot.tag = tag;
    }
    return slot;
  }

  #header(slot: Slot, type: number, sector: number): void {
    const at = slot.header.address;
    le32.set(this.#view, at + REQUEST.at.type, type);
    // A sector below 2^52, as `address64` has it, without its checks.
    le32.set(this.#view, at + REQUEST.at.sector, sector % 0x1_0000_0000);
    le32.set(this.#view, at + REQUEST.at.sector + 4, Math.floor(sector / 0x1_0000_0000));
    u8.set(this.#view, slot.status.address, STATUS_LOST);
  }

  #add(slot: Slot, readable: readonly BufferSegment[], writable: readonly BufferSegment[]) {
    const head = this.#queue.add(readable, writable);
    if (head < 0) {
      this.#idle.push(slot);
      return false;
    }
    this.#byHead[head] = slot;
    this.#inFlight++;
    return true;
  }

  #pieces(address: number, length: number): BufferSegment[] {
    const pieces: BufferSegment[] = [];
    for (let at = 0; at < length; at += this.#segmentMax) {
      pieces.push({ address: address + at, length: Math.min(this.#segmentMax, length - at) });
    }
    return pieces;
  }
}

function readConfig(transport: VirtioTransport) {
  // A device may have less than the struct: what it lacks reads as 0.
  const bytes = new Uint8Array(CONFIG.size);
  bytes.set(transport.deviceConfig().subarray(0, CONFIG.size));
  return CONFIG.read(viewOf(bytes));
}

function makeSlot(at: number): Slot {
  const header = { address: at, length: REQUEST.size };
  const range = { address: at + REQUEST.size, length: RANGE.size };
  const status = { address: at + REQUEST.size + RANGE.size, length: 1 };
  const data = { address: 0, length: 0 };
  return {
    header,
    range,
    status,
    data,
    reading: [data, status],
    writing: [header, data],
    headerOnly: [header],
    statusOnly: [status],
    done: UNUSED,
    tag: 0,
  };
}

/** True for the status byte of a request that went well. */
export const succeeded = (status: number): boolean => status === STATUS.OK;
