/**
 * Virtio over PCI, driver side, in the diagnostic OS (virtio 1.3 §3.1.1 and §4.1): by port accesses and rings in card
 * memory alone, as Linux does it.
 *
 * @module
 */
import {
  availableRingSize,
  descriptorTableSize,
  DEVICE_STATUS,
  DeviceError,
  DriverQueue,
  FEATURE,
  hasFeature,
  TRANSPORT_FEATURES,
  usedRingSize,
  virtioPci,
} from "../../../../protocol/mod.ts";
import type { Board } from "../board.ts";
import type { Heap } from "./heap.ts";
import type { PciDevice } from "./pci.ts";

const { CAPABILITY, CFG_TYPE, COMMON_CFG, ISR } = virtioPci;
const AT = COMMON_CFG.at;

/** How a driver wants a queue. */
export interface QueueWish {
  /** Largest ring it has a use for. */
  readonly size: number;
  /** Segments of the longest chain it puts into an indirect table; 0 for a driver that needs none. */
  readonly indirect: number;
}

/** What a driver of one device type is told. Called from interrupts. */
export interface VirtioDriver {
  /** Some queue has used chains. */
  used(): void;
  /** Device configuration space changed. */
  configChanged(): void;
  /** The device is broken: nothing comes back any more. */
  failed(error: Error): void;
}

/** One virtio-pci function and its queues. */
export class VirtioTransport {
  readonly pci: PciDevice;
  /** Virtio device type. */
  readonly type: number;
  features = 0n;
  /** Interrupts taken. */
  interrupts = 0;
  readonly #board: Board;
  readonly #heap: Heap;
  readonly #common: number;
  readonly #isr: number;
  readonly #notify: number;
  readonly #multiplier: number;
  readonly #device: { readonly offset: number; readonly length: number };
  readonly #queues: { readonly queue: DriverQueue; readonly port: number }[] = [];
  #broken = false;

  /** @throws {DeviceError} if the function lacks a structure that virtio-pci requires */
  constructor(board: Board, heap: Heap, pci: PciDevice) {
    this.pci = pci;
    this.type = pci.device - virtioPci.DEVICE_ID_BASE;
    this.#board = board;
    this.#heap = heap;
    const structure = (cfgType: number) => {
      const at = pci.vendorCapabilities().find((at) =>
        pci.config(at + CAPABILITY.at.cfg_type, 1) === cfgType &&
        pci.config(at + CAPABILITY.at.bar, 1) === 0
      );
      if (at === undefined) return undefined;
      const offset = pci.config(at + CAPABILITY.at.offset, 4);
      const length = pci.config(at + CAPABILITY.at.length, 4);
      return offset + length <= pci.barSize ? { at, offset, length } : undefined;
    };
    const common = structure(CFG_TYPE.COMMON);
    const isr = structure(CFG_TYPE.ISR);
    const notify = structure(CFG_TYPE.NOTIFY);
    if (!common || !isr || !notify) {
      throw new DeviceError(`Cannot drive slot ${pci.slot}: a virtio structure is missing`);
    }
    this.#common = common.offset;
    this.#isr = isr.offset;
    this.#notify = notify.offset;
    this.#multiplier = pci.config(notify.at + CAPABILITY.size, 4);
    this.#device = structure(CFG_TYPE.DEVICE) ?? { offset: 0, length: 0 };
  }

  /** Resets the device and negotiates: `wanted` are device feature bits. @throws {DeviceError} if it refuses */
  async negotiate(wanted: bigint, signal: AbortSignal): Promise<void> {
    await this.reset(signal);
    this.#setStatus(DEVICE_STATUS.ACKNOWLEDGE);
    this.#setStatus(DEVICE_STATUS.DRIVER);
    let offered = 0n;
    for (const select of [0, 1]) {
      this.#write(AT.device_feature_select, 4, select);
      offered |= BigInt(this.#read(AT.device_feature, 4)) << BigInt(32 * select);
    }
    this.features = offered & (wanted | TRANSPORT_FEATURES);
    for (const select of [0, 1]) {
      this.#write(AT.driver_feature_select, 4, select);
      const bits = (this.features >> BigInt(32 * select)) & 0xffff_ffffn;
      this.#write(AT.driver_feature, 4, Number(bits));
    }
    this.#setStatus(DEVICE_STATUS.FEATURES_OK);
    if (!(this.status & DEVICE_STATUS.FEATURES_OK)) {
      this.#setStatus(DEVICE_STATUS.FAILED);
      throw new DeviceError(`Cannot drive slot ${this.pci.slot}: it refused our features`);
    }
  }

  /** Resets the device; done when it touches no memory any more. */
  async reset(signal: AbortSignal): Promise<void> {
    this.#write(AT.device_status, 1, 0);
    while (this.status !== 0) {
      signal.throwIfAborted();
      // The card driver asks the host first; let it.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    signal.throwIfAborted();
  }

  /** Sets up queue `index`, before {@linkcode start}; undefined if the device has none there. */
  queue(index: number, wish: QueueWish): DriverQueue | undefined {
    this.#write(AT.queue_select, 2, index);
    const sizeMax = this.#read(AT.queue_size, 2);
    if (sizeMax === 0) return undefined;
    const size = Math.min(sizeMax, wish.size);
    this.#write(AT.queue_size, 2, size);
    const descriptorTable = this.#heap.allocate(descriptorTableSize(size), 4096).address;
    const availableRing = this.#heap.allocate(availableRingSize(size), 64).address;
    const usedRing = this.#heap.allocate(usedRingSize(size), 64).address;
    // Addresses are below 4 GiB: so is card memory.
    for (
      const [half, address] of [
        [AT.queue_desc_low, descriptorTable],
        [AT.queue_driver_low, availableRing],
        [AT.queue_device_low, usedRing],
      ] as const
    ) {
      this.#write(half, 4, address);
      this.#write(half + 4, 4, 0);
    }
    const indirect = wish.indirect > 0 && hasFeature(this.features, FEATURE.INDIRECT_DESC);
    const tables = indirect
      ? this.#heap.allocate(wish.indirect * descriptorTableSize(size)).address
      : 0;
    const queue = new DriverQueue({
      memory: this.#board.view,
      size,
      descriptorTable,
      availableRing,
      usedRing,
      eventIndex: hasFeature(this.features, FEATURE.EVENT_IDX),
      ...(indirect ? { indirect: { address: tables, capacity: wish.indirect } } : {}),
    });
    const port = this.#notify + this.#read(AT.queue_notify_off, 2) * this.#multiplier;
    this.#write(AT.queue_enable, 2, 1);
    this.#queues[index] = { queue, port };
    return queue;
  }

  /** DRIVER_OK, and interrupts from here on. */
  start(driver: VirtioDriver): void {
    this.#board.onInterrupt(this.pci.interrupt, () => {
      const isr = this.pci.in(this.#isr, 1);
      this.interrupts++;
      if (this.#broken) return;
      try {
        if (isr & ISR.CONFIG) {
          if (this.status & DEVICE_STATUS.DEVICE_NEEDS_RESET) {
            throw new DeviceError(`Device in slot ${this.pci.slot} needs a reset`);
          }
          driver.configChanged();
        }
        if (isr & ISR.QUEUE) driver.used();
      } catch (error) {
        if (!(error instanceof DeviceError)) throw error;
        this.#broken = true;
        driver.failed(error);
      }
    });
    this.#setStatus(DEVICE_STATUS.DRIVER_OK);
  }

  /** Publishes what was added to queue `index` and notifies the device if it wants that. */
  kick(index: number): void {
    const entry = this.#queues[index];
    if (entry?.queue.publish()) this.pci.out(entry.port, 2, index);
  }

  get status(): number {
    return this.#read(AT.device_status, 1);
  }

  get broken(): boolean {
    return this.#broken;
  }

  queueCount(): number {
    return this.#read(AT.num_queues, 2);
  }

  /** Device configuration space, read until its generation is the same before and after (§2.5.1). */
  deviceConfig(): Uint8Array {
    for (;;) {
      const before = this.#read(AT.config_generation, 1);
      const bytes = Uint8Array.from(
        { length: this.#device.length },
        (_, i) => this.pci.in(this.#device.offset + i, 1),
      );
      if (this.#read(AT.config_generation, 1) === before) return bytes;
    }
  }

  #setStatus(bit: number): void {
    this.#write(AT.device_status, 1, this.status | bit);
  }

  #read(field: number, width: 1 | 2 | 4): number {
    return this.pci.in(this.#common + field, width);
  }

  #write(field: number, width: 1 | 2 | 4, value: number): void {
    this.pci.out(this.#common + field, width, value);
  }
}
