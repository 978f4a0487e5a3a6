/**
 * The request queue of a block device, from DRIVER_OK to reset (virtio 1.3 §5.2.6).
 *
 * Header, data and status are found by position, not by descriptor: the first 16 device-readable bytes, what follows
 * them or precedes the status, and the last device-writable byte. A chain without room for header and status cannot be
 * answered and fails the device; anything else that is wrong fails that request alone.
 *
 * A write is served from where the card pushed it; a read from a synchronous backend goes straight into the outgoing
 * batch. Everything else completes later, in any order, and bounded: {@linkcode MAX_BYTES_IN_FLIGHT}.
 *
 * **Budget:** 0.6 us a request (tests/bench/README.md, "Budgets").
 *
 * @module
 */
import {
  address64,
  BackendError,
  DriverError,
  le32,
  viewOf,
  virtioBlock,
} from "../../protocol/mod.ts";
import type { BlockBackend } from "../backends/types.ts";
import type { DescriptorChain, DeviceQueue, DeviceSession } from "../driver/virtio_device.ts";
import { ChainPump } from "./chain_pump.ts";
import type { RequestMeter } from "./request_meter.ts";
import { SharedFlush } from "./shared_flush.ts";

const { ID_SIZE, RANGE, RANGE_UNMAP, REQUEST, REQUEST_TYPE, SECTOR_SIZE, STATUS } = virtioBlock;

/** What the configuration space promises; the device and this file count on the same numbers. */
export const LIMITS = {
  /** Data segments of a request; the queue holds this many, header and status. */
  segments: 126,
  /** Bytes of one segment: with `segments`, it bounds what a request can make the host hold. */
  segmentBytes: 128 * 1024,
  /** Sectors of one DISCARD or WRITE_ZEROES range: 1 GiB. */
  rangeSectors: 2 * 1024 * 1024,
  ranges: 16,
} as const;

const MAX_DATA = LIMITS.segments * LIMITS.segmentBytes;
/** Bytes of requests that wait for the backend or the link, above which no further chain is taken. */
const MAX_BYTES_IN_FLIGHT = 32 * 1024 * 1024;

/** Answers that leave while the next ones are made: card and host work at the same time. Fewer cost more than that gains. */
const EARLY = 16;

/** Kinds of requests that are counted, by number; the last is all that are none of the others. */
export const BLOCK_REQUESTS = [
  "read",
  "write",
  "flush",
  "get_id",
  "discard",
  "write_zeroes",
  "other",
] as const;
export type BlockRequest = (typeof BLOCK_REQUESTS)[number];

/** What the requests need of their device. */
export interface BlockRequestsOptions {
  readonly backend: BlockBackend;
  /** Answer to GET_ID: 20 bytes. */
  readonly id: Uint8Array;
  /** Whether a write must be on stable storage before it is acknowledged; may change at any time. */
  readonly writethrough: () => boolean;
  readonly onError: (error: BackendError) => void;
  readonly meter: RequestMeter<BlockRequest>;
}

type Done = void | Promise<void>;

/** A request that cannot be served, and the status that says so. */
class Refused extends Error {
  readonly status: virtioBlock.Status;
  constructor(status: virtioBlock.Status) {
    super();
    this.status = status;
  }
}

export class BlockRequests {
  #backend: BlockBackend;
  readonly #options: BlockRequestsOptions;
  readonly #session: DeviceSession;
  readonly #queue: DeviceQueue;
  readonly #pump: ChainPump;
  readonly #flush: SharedFlush;
  readonly #meter: RequestMeter<BlockRequest>;
  readonly #status = new Uint8Array(1);
  #inFlight = 0;
  #bytesInFlight = 0;
  #stopped: PromiseWithResolvers<void> | undefined;
  /** While no chain is taken, which resolves when none is under way. */
  #hold: PromiseWithResolvers<void> | undefined;
  /** The disk is on its way out. */
  #retired = false;
  #idle: PromiseWithResolvers<void> | undefined;
  /** The read that `#fill` is filling in. */
  #reading = { sector: 0, length: 0, status: STATUS.OK as virtioBlock.Status };

  constructor(session: DeviceSession, queue: DeviceQueue, options: BlockRequestsOptions) {
    this.#backend = options.backend;
    this.#options = options;
    this.#meter = options.meter;
    this.#session = session;
    this.#queue = queue;
    this.#pump = new ChainPump(session, queue, (chain) => this.#take(chain), { early: EARLY });
    this.#flush = new SharedFlush(() => this.#backend.flush(session.signal));
  }

  /** There may be chains. */
  kick(): void {
    this.#pump.kick();
  }

  /** No further chain is taken: they wait in the queue. Resolves when no call to the backend is under way. */
  hold(): Promise<void> {
    const hold = this.#hold ??= Promise.withResolvers();
    if (this.#inFlight === 0) hold.resolve();
    return hold.promise;
  }

  /** Goes on after `hold`, with `backend` from now on. */
  release(backend: BlockBackend): void {
    this.#backend = backend;
    this.#hold = undefined;
    this.#pump.resume();
  }

  /** From now on every request fails; resolves when none is under way. */
  retire(): Promise<void> {
    this.#retired = true;
    const idle = this.#idle ??= Promise.withResolvers();
    if (this.#inFlight === 0) idle.resolve();
    this.#pump.resume();
    return idle.promise;
  }

  /** Resolves when no call to the backend is under way; no chain is touched from now on. */
  stop(): Promise<void> {
    this.#pump.stop();
    this.#stopped = Promise.withResolvers();
    if (this.#inFlight === 0) this.#stopped.resolve();
    return this.#stopped.promise;
  }

  #take(chain: DescriptorChain): boolean {
    if (this.#hold !== undefined || this.#bytesInFlight >= MAX_BYTES_IN_FLIGHT) return false;
    const { pushed, readableLength, writableLength } = chain;
    this.#meter.begin(chain.head);
    if (readableLength < REQUEST.size || writableLength < 1) {
      throw new DriverError(
        "request",
        `Cannot serve block request: ${readableLength} readable and ${writableLength} writable bytes`,
      );
    }
    if (
      this.#retired || readableLength > REQUEST.size + MAX_DATA || writableLength > MAX_DATA + 1
    ) {
      this.#complete(chain, STATUS.IOERR, 0);
    } else if (pushed.length === readableLength) {
      this.#serve(chain, pushed);
    } else {
      const bytes = this.#queue.fetch(chain, this.#session.signal);
      if (bytes instanceof Uint8Array) this.#serve(chain, bytes);
      else this.#serveFetched(chain, bytes);
    }
    return true;
  }

  /** The fetch keeps the pump from finishing its stop, and its bytes count, like those of a backend call. */
  #serveFetched(chain: DescriptorChain, bytes: Promise<Uint8Array>): void {
    this.#enter(chain);
    bytes.then(
      (readable) => {
        if (this.#stopped === undefined) this.#serve(chain, readable);
        this.#leave(chain);
      },
      (cause) => {
        // A link that is lost for good, or a reset: in both cases the session ends, not this request.
        if (this.#stopped === undefined && !this.#session.signal.aborted) this.#pump.fail(cause);
        this.#leave(chain);
      },
    );
  }

  /** @param readable all device-readable bytes, which the card may still change: what is checked is read once */
  #serve(chain: DescriptorChain, readable: Uint8Array): void {
    const header = viewOf(readable);
    const type = le32.get(header, REQUEST.at.type);
    const sector = address64.get(header, REQUEST.at.sector);
    this.#meter.is(chain.head, KINDS[type] ?? KIND_OTHER);
    if (type === REQUEST_TYPE.IN) return this.#read(chain, sector);
    if (type === REQUEST_TYPE.GET_ID) return this.#getId(chain);
    const data = readable.subarray(REQUEST.size);
    try {
      const done = this.#perform(type, sector, data);
      if (done === undefined) this.#complete(chain, STATUS.OK, 0);
      else this.#completeLater(chain, type, placeOf(type, sector, data), done);
    } catch (error) {
      this.#complete(chain, this.#statusOf(type, placeOf(type, sector, data), error), 0);
    }
  }

  /** What has no device-writable data: undefined when done at once. */
  #perform(type: number, sector: number, data: Uint8Array): Done {
    switch (type) {
      case REQUEST_TYPE.OUT:
        return this.#write(sector, data);
      case REQUEST_TYPE.FLUSH:
        return this.#flush.flush();
      case REQUEST_TYPE.DISCARD:
      case REQUEST_TYPE.WRITE_ZEROES:
        return this.#ranges(type, data);
      default:
        throw new Refused(STATUS.UNSUPP);
    }
  }

  #write(sector: number, data: Uint8Array): Done {
    if (this.#backend.readOnly) throw new Refused(STATUS.IOERR);
    this.#check(sector, data.length);
    return this.#stable(this.#backend.write(sector, data, this.#session.signal));
  }

  /** In writethrough a change is acknowledged when it is on stable storage. */
  #stable(done: Done): Done {
    if (!this.#options.writethrough()) return done;
    return done === undefined ? this.#flush.flush() : done.then(() => this.#flush.flush());
  }

  #ranges(type: number, data: Uint8Array): Done {
    const { FEATURE } = virtioBlock;
    const zeroes = type === REQUEST_TYPE.WRITE_ZEROES;
    const feature = zeroes ? FEATURE.WRITE_ZEROES : FEATURE.DISCARD;
    if ((this.#session.features & feature) === 0n) throw new Refused(STATUS.UNSUPP);
    // Offered, but not by the backend that the disk has been given since.
    const able = zeroes ? this.#backend.writeZeroes : this.#backend.discard;
    if (this.#backend.readOnly) throw new Refused(STATUS.IOERR);
    if (able === undefined) throw new Refused(STATUS.UNSUPP);
    // A flag that is not known is UNSUPP, whatever else is wrong (§5.2.6.2).
    if (hasOtherFlags(data, zeroes ? RANGE_UNMAP : 0)) throw new Refused(STATUS.UNSUPP);
    const count = data.length / RANGE.size;
    if (!Number.isInteger(count) || count < 1 || count > LIMITS.ranges) {
      throw new Refused(STATUS.IOERR);
    }
    // All are checked before any is touched, from a copy that the card cannot change. Its flags only say whether zeroes
    // may deallocate.
    const view = viewOf(data.slice());
    const ranges = Array.from({ length: count }, (_, i) => RANGE.read(view, i * RANGE.size));
    for (const { sector, num_sectors } of ranges) {
      if (num_sectors > LIMITS.rangeSectors) throw new Refused(STATUS.IOERR);
      this.#check(sector, num_sectors * SECTOR_SIZE);
    }
    return this.#stable(zeroes ? this.#zeroAll(ranges) : this.#discardAll(ranges));
  }

  async #zeroAll(ranges: readonly Range[]): Promise<void> {
    for (const { sector, num_sectors, flags } of ranges) {
      const unmap = flags === RANGE_UNMAP;
      await this.#backend.writeZeroes!(sector, num_sectors, unmap, this.#session.signal);
    }
  }

  async #discardAll(ranges: readonly Range[]): Promise<void> {
    for (const { sector, num_sectors } of ranges) {
      await this.#backend.discard!(sector, num_sectors, this.#session.signal);
    }
  }

  #getId(chain: DescriptorChain): void {
    const length = Math.min(ID_SIZE, chain.writableLength - 1);
    this.#queue.write(chain, 0, this.#options.id.subarray(0, length));
    this.#complete(chain, STATUS.OK, length);
  }

  #read(chain: DescriptorChain, sector: number): void {
    const length = chain.writableLength - 1;
    try {
      this.#check(sector, length);
    } catch (error) {
      return this.#complete(chain, this.#statusOf(REQUEST_TYPE.IN, sector, error), 0);
    }
    if (this.#backend.synchronous === true) this.#readNow(chain, sector, length);
    else this.#readLater(chain, sector, length);
  }

  /** Data and status in one write, filled by the backend where they leave from. */
  #readNow(chain: DescriptorChain, sector: number, length: number): void {
    const reading = this.#reading;
    reading.sector = sector;
    reading.length = length;
    reading.status = STATUS.OK;
    this.#queue.writeWith(chain, 0, length + 1, this.#fill);
    this.#give(chain, reading.status, reading.status === STATUS.OK ? length + 1 : 0);
  }

  readonly #fill = (into: Uint8Array, at: number): void => {
    const { sector, length } = this.#reading;
    const data = Math.min(into.length, length - at);
    if (data > 0) {
      try {
        this.#readAt(sector, at, into.subarray(0, data));
      } catch (error) {
        into.fill(0);
        this.#reading.status = this.#statusOf(REQUEST_TYPE.IN, sector, error);
      }
    }
    if (data < into.length) into[data] = this.#reading.status;
  };

  /** A place in the outgoing batch may begin or end inside a sector; the backend knows only whole ones. */
  #readAt(sector: number, at: number, into: Uint8Array): void {
    const { signal } = this.#session;
    const block = this.#backend.blockSize;
    if (at % block === 0 && into.length % block === 0) {
      this.#backend.read(sector + at / SECTOR_SIZE, into, signal);
      return;
    }
    const start = at - at % block;
    const whole = new Uint8Array(Math.ceil((at + into.length - start) / block) * block);
    this.#backend.read(sector + start / SECTOR_SIZE, whole, signal);
    into.set(whole.subarray(at - start, at - start + into.length));
  }

  #readLater(chain: DescriptorChain, sector: number, length: number): void {
    const scratch = new Uint8Array(length + 1);
    let done: Done;
    try {
      done = this.#backend.read(sector, scratch.subarray(0, length), this.#session.signal);
    } catch (error) {
      return this.#complete(chain, this.#statusOf(REQUEST_TYPE.IN, sector, error), 0);
    }
    const finish = (): void => {
      scratch[length] = STATUS.OK;
      this.#queue.write(chain, 0, scratch);
      this.#give(chain, STATUS.OK, length + 1);
    };
    if (done === undefined) finish();
    else this.#completeLater(chain, REQUEST_TYPE.IN, sector, done, finish);
  }

  /** @throws {Refused} if the range is not of whole blocks inside the disk */
  #check(sector: number, bytes: number): void {
    const { blockSize, sectors } = this.#backend;
    const inside = sector <= sectors && bytes / SECTOR_SIZE <= sectors - sector;
    if (!inside || bytes % blockSize !== 0 || (sector * SECTOR_SIZE) % blockSize !== 0) {
      throw new Refused(STATUS.IOERR);
    }
  }

  #completeLater(
    chain: DescriptorChain,
    type: number,
    sector: number,
    done: Promise<void>,
    finish = (): void => this.#complete(chain, STATUS.OK, 0),
  ): void {
    this.#enter(chain);
    done.then(
      () => {
        if (this.#stopped === undefined) finish();
        this.#leave(chain);
      },
      (error) => {
        const status = this.#statusOf(type, sector, error);
        if (this.#stopped === undefined) this.#complete(chain, status, 0);
        this.#leave(chain);
      },
    );
  }

  #enter(chain: DescriptorChain): void {
    this.#inFlight++;
    this.#bytesInFlight += chain.readableLength + chain.writableLength;
  }

  #leave(chain: DescriptorChain): void {
    this.#inFlight--;
    this.#bytesInFlight -= chain.readableLength + chain.writableLength;
    if (this.#inFlight === 0) {
      this.#stopped?.resolve();
      this.#hold?.resolve();
      this.#idle?.resolve();
    }
    if (this.#stopped === undefined) this.#pump.resume();
  }

  /** @param data device-writable bytes stored before the status; the used length counts from the start */
  #complete(chain: DescriptorChain, status: virtioBlock.Status, data: number): void {
    this.#status[0] = status;
    const at = chain.writableLength - 1;
    this.#queue.write(chain, at, this.#status);
    this.#give(chain, status, at === data ? data + 1 : data);
  }

  /** @param used bytes written from the start of the chain on */
  #give(chain: DescriptorChain, status: virtioBlock.Status, used: number): void {
    const { head, readableLength } = chain;
    // Of a read its data, of a write what came with it.
    const bytes = Math.max(used - 1, 0) + readableLength - REQUEST.size;
    this.#meter.end(head, OUTCOME[status], bytes);
    this.#pump.give(chain, used);
  }

  #statusOf(type: number, sector: number, error: unknown): virtioBlock.Status {
    if (error instanceof Refused) return error.status;
    if (!this.#session.signal.aborted) {
      const reason = error instanceof Error ? error.message : String(error);
      const place = type === REQUEST_TYPE.FLUSH ? "" : ` at sector ${sector}`;
      const message = `${NAMES.get(type)} request${place} failed: ${reason}`;
      this.#options.onError(new BackendError(message, { cause: error }));
    }
    return STATUS.IOERR;
  }
}

const OUTCOME = {
  [STATUS.OK]: "ok",
  [STATUS.IOERR]: "failed",
  [STATUS.UNSUPP]: "unsupported",
} as const;

const KIND_OTHER = BLOCK_REQUESTS.indexOf("other");
/** By request type: its number in `BLOCK_REQUESTS`. */
const KINDS: readonly (number | undefined)[] = Array.from({ length: 16 }, (_, type) => {
  switch (type) {
    case REQUEST_TYPE.IN:
      return BLOCK_REQUESTS.indexOf("read");
    case REQUEST_TYPE.OUT:
      return BLOCK_REQUESTS.indexOf("write");
    case REQUEST_TYPE.FLUSH:
      return BLOCK_REQUESTS.indexOf("flush");
    case REQUEST_TYPE.GET_ID:
      return BLOCK_REQUESTS.indexOf("get_id");
    case REQUEST_TYPE.DISCARD:
      return BLOCK_REQUESTS.indexOf("discard");
    case REQUEST_TYPE.WRITE_ZEROES:
      return BLOCK_REQUESTS.indexOf("write_zeroes");
    default:
      return undefined;
  }
});

type Range = ReturnType<typeof RANGE.read>;

/** Whether a range in `data` has a flag that is not among `known`. */
function hasOtherFlags(data: Uint8Array, known: number): boolean {
  const view = viewOf(data);
  for (let at: number = RANGE.at.flags; at + le32.size <= data.length; at += RANGE.size) {
    if ((le32.get(view, at) & ~known) !== 0) return true;
  }
  return false;
}

/** For the log: a request on ranges has its sector there, and zero in its header. */
function placeOf(type: number, sector: number, data: Uint8Array): number {
  const ranges = type === REQUEST_TYPE.DISCARD || type === REQUEST_TYPE.WRITE_ZEROES;
  return ranges && data.length >= RANGE.size
    ? address64.get(viewOf(data), RANGE.at.sector)
    : sector;
}

/** For the log. */
const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(REQUEST_TYPE).map(([name, type]) => [type, name]),
);
