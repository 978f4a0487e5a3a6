/**
 * A driver for block devices under test: makes requests on a fake queue and sees how they end.
 *
 * @module
 */
import { BlockDevice, type BlockDeviceOptions } from "../../host/devices/block.ts";
import type { BackendError } from "../../protocol/errors.ts";
import { viewOf } from "../../protocol/layout.ts";
import { FEATURE, RANGE, REQUEST, REQUEST_TYPE } from "../../protocol/virtio/block.ts";
import { type FakeChain, type FakeQueue, FakeSession, FakeSlot } from "./fake_queue.ts";

/** Header bytes of a request. */
export function header(type: number, sector: number, data: Uint8Array = new Uint8Array(0)) {
  const bytes = new Uint8Array(REQUEST.size + data.length);
  REQUEST.write(viewOf(bytes), { type, reserved: 0, sector });
  bytes.set(data, REQUEST.size);
  return bytes;
}

export interface TestRange {
  readonly sector: number;
  readonly num_sectors: number;
  readonly flags?: number;
}

/** Data of DISCARD and WRITE_ZEROES. */
export function ranges(list: readonly TestRange[]): Uint8Array {
  const bytes = new Uint8Array(RANGE.size * list.length);
  list.forEach((range, i) => RANGE.write(viewOf(bytes), { flags: 0, ...range }, i * RANGE.size));
  return bytes;
}

/** A started device, and requests on it. */
export class BlockDriver implements AsyncDisposable {
  readonly device: BlockDevice;
  readonly slot = new FakeSlot();
  readonly errors: BackendError[] = [];
  session: FakeSession;

  constructor(options: BlockDeviceOptions, drop = 0n) {
    this.device = new BlockDevice({ onError: (error) => this.errors.push(error), ...options });
    this.device.attached(this.slot);
    this.session = this.#begin(this.device.features & ~drop);
  }
  get queue(): FakeQueue {
    return this.session.queues[0]!;
  }

  /** Makes a request available and notifies the device. */
  request(type: number, sector: number, data?: Uint8Array, writable = 0): FakeChain {
    const chain = this.queue.add({ readable: header(type, sector, data), writable: writable + 1 });
    this.device.notified(0);
    return chain;
  }
  read(sector: number, bytes: number): FakeChain {
    return this.request(REQUEST_TYPE.IN, sector, undefined, bytes);
  }
  write(sector: number, data: Uint8Array): FakeChain {
    return this.request(REQUEST_TYPE.OUT, sector, data);
  }
  flush(): FakeChain {
    return this.request(REQUEST_TYPE.FLUSH, 0);
  }
  discard(...list: TestRange[]): FakeChain {
    return this.request(REQUEST_TYPE.DISCARD, 0, ranges(list));
  }
  writeZeroes(...list: TestRange[]): FakeChain {
    return this.request(REQUEST_TYPE.WRITE_ZEROES, 0, ranges(list));
  }

  /** Reset and DRIVER_OK, with other features if given. */
  /** `between` runs while there is no driver. */
  async restart(
    features: bigint = this.session.features,
    between: () => void = () => {},
  ): Promise<void> {
    await this.reset();
    between();
    this.session = this.#begin(features);
  }
  /** Card reset as the host driver does it. */
  async reset(): Promise<void> {
    this.session.abort();
    await this.device.stop();
    this.session.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.reset();
    await this.device[Symbol.asyncDispose]();
  }

  #begin(features: bigint): FakeSession {
    const session = new FakeSession(this.device.queueSizes, features);
    this.device.start(session);
    return session;
  }
}

/** Features of a driver that knows neither FLUSH nor the cache mode. */
export const CACHELESS: bigint = FEATURE.FLUSH | FEATURE.CONFIG_WCE;
