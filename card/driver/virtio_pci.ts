/**
 * One virtio-pci function, as the card OS sees it (virtio 1.3 §4.1): its registers and their rules, and nothing of the
 * link. What the host offered comes in as {@linkcode VirtioPciOffer}; what the driver does goes out as
 * {@linkcode VirtioPciEvents}.
 *
 * The driver is foreign: a write of the wrong width, to a read-only field or at the wrong time is dropped, and what it
 * may not ask for (a feature not offered, a queue that cannot be) is refused here, before anybody hears of it. One that
 * would go on with something else in mind than the device has (a status that goes backwards, another size for a queue
 * that is enabled) finds DEVICE_NEEDS_RESET. Reset
 * takes a round trip to the host, so the status register keeps its old value, as §4.1.4.3.1 allows, until
 * {@linkcode VirtioPciFunction.resetDone}; whatever the driver writes in between is dropped too.
 *
 * @module
 */
import {
  DEVICE_STATUS,
  DriverError,
  le16,
  le32,
  nextStatus,
  type StatusPhase,
  u8,
  viewOf,
  virtioPci,
} from "../../protocol/mod.ts";
import type { InterruptLine, PciFunction } from "../machine/types.ts";
import { type BarMap, barMap, virtioPciConfig } from "./virtio_pci_config.ts";
import { FeatureRegisters } from "./virtio_pci_features.ts";
import { InterruptStatus } from "./virtio_pci_interrupt.ts";
import { QueueRegisters } from "./virtio_pci_queue.ts";
import type { VirtioPciEvents, VirtioPciOffer } from "./virtio_pci_types.ts";
import { ConfigWindow } from "./virtio_pci_window.ts";

const { COMMON_CFG, ISR, NO_VECTOR } = virtioPci;

/** What the driver may write, and how wide it is. */
const WRITABLE_WIDTH = {
  device_feature_select: 4,
  driver_feature_select: 4,
  driver_feature: 4,
  device_status: 1,
  queue_select: 2,
  queue_size: 2,
  queue_enable: 2,
  queue_desc_low: 4,
  queue_desc_high: 4,
  queue_driver_low: 4,
  queue_driver_high: 4,
  queue_device_low: 4,
  queue_device_high: 4,
} as const satisfies Partial<Record<keyof typeof COMMON_CFG.at, number>>;
type WritableField = keyof typeof WRITABLE_WIDTH;
/** Those of the queue that `queue_select` names. */
type QueueField = Exclude<Extract<WritableField, `queue_${string}`>, "queue_select">;
const WRITABLE: ReadonlyMap<number, WritableField> = new Map(
  (Object.keys(WRITABLE_WIDTH) as WritableField[]).map((field) => [COMMON_CFG.at[field], field]),
);

export class VirtioPciFunction implements PciFunction {
  readonly name: string;
  readonly pciConfig: Uint8Array;
  readonly barSize: number;

  readonly #offer: VirtioPciOffer;
  readonly #events: VirtioPciEvents;
  readonly #memorySize: number;
  readonly #map: BarMap;
  readonly #queues: readonly QueueRegisters[];
  readonly #common = new DataView(new ArrayBuffer(COMMON_CFG.size));
  readonly #features: FeatureRegisters;
  readonly #interrupt = new InterruptStatus();
  readonly #window: ConfigWindow;
  /** What the driver is shown as config_generation, and the offer's generation that it stands for. */
  #generation: number;
  #generationOf: number;
  /** A configuration change that the driver is told of at DRIVER_OK. */
  #configChanged = false;
  #phase: StatusPhase = "reset";
  #status = 0;
  #resetting = false;
  #queueSelect = 0;

  /** `memorySize` bounds the rings: bytes of card memory. */
  constructor(offer: VirtioPciOffer, events: VirtioPciEvents, memorySize: number) {
    this.name = offer.name;
    this.#offer = offer;
    this.#events = events;
    this.#memorySize = memorySize;
    this.#features = new FeatureRegisters(offer.features);
    this.#generationOf = offer.configGeneration();
    this.#generation = this.#generationOf & 0xff;
    this.#map = barMap(offer.queueSizes.length, offer.configLength);
    this.#queues = offer.queueSizes.map((size) => new QueueRegisters(size));
    this.pciConfig = virtioPciConfig(offer.type, this.#map);
    this.barSize = this.#map.size;
    this.#window = new ConfigWindow(this.pciConfig, this);
  }

  get pciWritable(): Uint8Array {
    return this.#window.writable;
  }

  configRead(config: DataView, at: number, width: number): void {
    this.#window.beforeRead(config, at, width);
  }

  configWrote(config: DataView, at: number, width: number): void {
    this.#window.afterWrite(config, at, width);
  }

  /** The INTx line that the machine gave the function; before the OS runs. */
  connect(line: InterruptLine): void {
    this.#interrupt.connect(line);
  }

  /** Device status byte as the driver reads it. */
  get status(): number {
    return this.#status;
  }

  /** True between DRIVER_OK and reset. */
  get live(): boolean {
    return this.#phase === "driver_ok" && !this.#resetting;
  }

  get #broken(): boolean {
    return (this.#status & DEVICE_STATUS.DEVICE_NEEDS_RESET) !== 0;
  }

  /** Used buffer notification: raises INTx. Does nothing unless the device is live. */
  queueInterrupt(): void {
    if (this.live) this.#interrupt.raise(ISR.QUEUE);
  }

  /**
   * Configuration change notification. The offer already shows the new bytes and generation. A driver that is still
   * coming up may have read the old ones, and takes no interrupt yet: it gets it at DRIVER_OK.
   */
  configInterrupt(): void {
    if (this.live) this.#interrupt.raise(ISR.CONFIG);
    else this.#configChanged = this.#phase !== "reset";
  }

  /**
   * Another host offers the device, with other features and queue sizes: they count from the next negotiation on. A
   * queue that it does not have has size 0.
   */
  reoffer(features: bigint, queueSizes: readonly number[]): void {
    this.#features.offer(features);
    this.#queues.forEach((queue, index) => queue.offer(queueSizes[index] ?? 0));
  }

  /** DEVICE_NEEDS_RESET: the device is broken until the driver resets it (§2.1.2). */
  needsReset(): void {
    if (this.#broken) return;
    this.#status |= DEVICE_STATUS.DEVICE_NEEDS_RESET;
    if (this.live) this.#interrupt.raise(ISR.CONFIG);
  }

  /** The reset that the driver asked for is done: status reads 0. */
  resetDone(): void {
    if (!this.#resetting) return;
    this.#resetting = false;
    this.#phase = "reset";
    this.#status = 0;
    this.#configChanged = false;
    this.#features.reset();
    this.#queueSelect = 0;
    for (const queue of this.#queues) queue.reset();
  }

  read(offset: number, width: 1 | 2 | 4): number {
    const { common, isr, device } = this.#map;
    if (offset === isr.offset) return this.#interrupt.read();
    if (offset < common.length) {
      this.#render();
      return get(this.#common, offset, width);
    }
    if (offset >= device.offset && offset < device.offset + device.length) {
      this.#observeGeneration();
      return get(viewOf(this.#offer.deviceConfig()), offset - device.offset, width);
    }
    return 0;
  }

  write(offset: number, width: 1 | 2 | 4, value: number): void {
    const { common, notify, device } = this.#map;
    if (offset >= notify.offset && offset < notify.offset + notify.length) {
      const queue = (offset - notify.offset) / notify.multiplier;
      if (this.live && this.#queues[queue]?.enabled) this.#events.notified(queue);
    } else if (offset < common.length) {
      const field = WRITABLE.get(offset);
      if (field === undefined || WRITABLE_WIDTH[field] !== width || this.#resetting) return;
      // What lies above the width is noise, and 32 bits may come signed.
      this.#writeCommon(field, width === 4 ? value >>> 0 : value & (2 ** (8 * width) - 1));
    } else if (offset >= device.offset && offset + width <= device.offset + device.length) {
      if (!this.#resetting) this.#events.configWritten(offset - device.offset, width, value);
    }
  }

  /**
   * One step for all changes since the driver looked last: it has 8 bits, and 256 changes between two looks must not
   * read as none (§4.1.4.3.1).
   */
  #observeGeneration(): void {
    const now = this.#offer.configGeneration();
    if (now === this.#generationOf) return;
    this.#generationOf = now;
    this.#generation = (this.#generation + 1) & 0xff;
  }

  /** Common configuration as it reads now; any offset and width can then be taken from it. */
  #render(): void {
    this.#observeGeneration();
    const view = this.#common;
    const at = COMMON_CFG.at;
    const queue = this.#queues[this.#queueSelect];
    le32.set(view, at.device_feature_select, this.#features.deviceSelect);
    le32.set(view, at.device_feature, this.#features.deviceWord);
    le32.set(view, at.driver_feature_select, this.#features.driverSelect);
    le32.set(view, at.driver_feature, this.#features.driverWord);
    le16.set(view, at.config_msix_vector, NO_VECTOR);
    le16.set(view, at.num_queues, this.#queues.length);
    u8.set(view, at.device_status, this.#status);
    u8.set(view, at.config_generation, this.#generation);
    le16.set(view, at.queue_select, this.#queueSelect);
    le16.set(view, at.queue_size, queue?.size ?? 0);
    le16.set(view, at.queue_msix_vector, NO_VECTOR);
    le16.set(view, at.queue_enable, queue?.enabled ? 1 : 0);
    le16.set(view, at.queue_notify_off, queue ? this.#queueSelect : 0);
    for (let half = at.queue_desc_low; half <= at.queue_device_high; half += 4) {
      le32.set(view, half, queue?.address(half - at.queue_desc_low) ?? 0);
    }
  }

  #writeCommon(field: WritableField, value: number): void {
    switch (field) {
      case "device_feature_select":
        this.#features.deviceSelect = value;
        return;
      case "driver_feature_select":
        this.#features.driverSelect = value;
        return;
      case "driver_feature":
        // Negotiation is over once FEATURES_OK was accepted (§3.1.1).
        if (!(this.#status & DEVICE_STATUS.FEATURES_OK)) this.#features.driverWord = value;
        return;
      case "device_status":
        this.#writeStatus(value);
        return;
      case "queue_select":
        this.#queueSelect = value;
        return;
      default:
        this.#writeQueue(field, value);
    }
  }

  #writeStatus(value: number): void {
    const next = nextStatus(this.#phase, value);
    if (next === "reset") return this.#reset();
    if (next === undefined) return this.#wrongStatus(value);
    if (next === this.#phase) return;
    if (next === "features_ok" && !this.#acceptFeatures()) return;
    this.#phase = next;
    const own = DEVICE_STATUS.DEVICE_NEEDS_RESET;
    this.#status = (value & ~own) | (this.#status & own);
    if (next !== "driver_ok") return this.#events.statusChanged(this.#status);
    this.#events.driverOk(this.#status);
    if (this.#configChanged) this.configInterrupt();
  }

  /** A driver that has not begun is not there to be told: what it writes is dropped. */
  #wrongStatus(value: number): void {
    if (this.#status === 0) return;
    const [from, to] = [this.#status, value].map((status) => `0x${status.toString(16)}`);
    this.#broke(new DriverError("status", `Cannot go from device status ${from} to ${to}`), 0);
  }

  /** The driver broke a rule, and would go on as if it had not; told of once until it resets the device. */
  #broke(error: DriverError, queue: number): void {
    if (this.#broken) return;
    this.#events.refused(error, queue);
    this.needsReset();
  }

  /** False if they are refused: the bit is not kept, and the driver reads the status back (§3.1.1 step 6). */
  #acceptFeatures(): boolean {
    try {
      this.#events.featuresAccepted(this.#features.accepted());
      return true;
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      this.#events.refused(error, 0);
      return false;
    }
  }

  #reset(): void {
    this.#interrupt.clear();
    this.#resetting = true;
    // Nobody has heard of a device whose status was 0 all along, so there is nothing to wait for.
    if (this.#status === 0) this.resetDone();
    else this.#events.resetRequested();
  }

  #writeQueue(field: QueueField, value: number): void {
    const queue = this.#queues[this.#queueSelect];
    if (!queue || queue.sizeMax === 0) return;
    if (queue.enabled) return this.#checkLatched(queue, field, value);
    // Queues are set up between FEATURES_OK and DRIVER_OK (§3.1.1 step 7).
    if (this.#phase !== "features_ok") return;
    try {
      if (field === "queue_size") queue.resize(value);
      else if (field !== "queue_enable") queue.setAddress(halfAt(field), value);
      else if (value === 1) {
        this.#events.queueEnabled(this.#queueSelect, queue.enable(this.#memorySize));
      }
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      // Left alone, the driver would use rings that the device does not see.
      this.#broke(error, this.#queueSelect);
    }
  }

  /** A queue that is enabled stays as it is until reset; saying again how it is does no harm. */
  #checkLatched(queue: QueueRegisters, field: QueueField, value: number): void {
    const now = field === "queue_size"
      ? queue.size
      : field === "queue_enable"
      ? 1
      : queue.address(halfAt(field));
    if (value === now) return;
    this.#broke(
      new DriverError(
        "queue-setup",
        `Cannot change ${field} of queue ${this.#queueSelect} from ${now} to ${value}: it is enabled`,
      ),
      this.#queueSelect,
    );
  }
}

/** Where half of a ring address lies, counted from `queue_desc`. */
function halfAt(field: Exclude<QueueField, "queue_size" | "queue_enable">): number {
  return COMMON_CFG.at[field] - COMMON_CFG.at.queue_desc_low;
}

/** Little-endian bytes of `view`, whatever the alignment; 0 past the end. */
function get(view: DataView, offset: number, width: number): number {
  let value = 0;
  for (let i = width - 1; i >= 0; i--) {
    value = value * 256 + (offset + i < view.byteLength ? u8.get(view, offset + i) : 0);
  }
  return value;
}
