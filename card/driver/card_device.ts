/**
 * One device of the card: the virtio-pci function that the card OS sees, the mirrors of its queues, and its slots in
 * card page (what the host says) and host page (what the driver does).
 *
 * - **Spec:** virtio 1.3 §2.1 (status), §2.4 (reset), §3.1.1 (initialisation).
 * - **Invariant:** mirrors exist between DRIVER_OK and reset, fault or close, and at no other time.
 *
 * @module
 */
import {
  DOORBELL,
  DRIVER_FAULT,
  type DriverError,
  FEATURE,
  hasFeature,
  type Requester,
  type SplitRing,
  withKnownTransport,
} from "../../protocol/mod.ts";
import type { CardMemory, Machine } from "../machine/types.ts";
import type { SlotOffer } from "./card_slot.ts";
import type { ConfigWrites } from "./config_writes.ts";
import { takeDriverWrite } from "./driver_fields.ts";
import type { HostPage } from "./host_page.ts";
import { QueueMirror } from "./mirror.ts";
import { VirtioPciFunction } from "./virtio_pci.ts";
import type { VirtioPciEvents } from "./virtio_pci_types.ts";

export interface CardDeviceOptions {
  readonly slot: number;
  readonly offer: SlotOffer;
  readonly machine: Machine;
  readonly requester: Requester;
  readonly hostPage: HostPage;
  readonly configWrites: ConfigWrites;
  /** Sends the slot's MSI. */
  sendMsi(): void;
  /** DRIVER_OK. */
  live(): void;
}

export class CardDevice implements VirtioPciEvents {
  readonly #options: CardDeviceOptions;
  readonly #memory: CardMemory;
  /** Undefined once closed. */
  #hostPage: HostPage | undefined;
  readonly #function: VirtioPciFunction;
  #mirrors: (QueueMirror | undefined)[] = [];
  #rings: (SplitRing | undefined)[] = [];
  #features = 0n;
  #configGeneration: number;
  /** Resets asked for; the host has carried one out when its `reset_done` says the same number. */
  #resetRequest: number;

  /** Plugs the device into the machine. */
  constructor(options: CardDeviceOptions) {
    const { offer, machine, slot } = options;
    this.#options = options;
    this.#memory = machine.memory;
    this.#hostPage = options.hostPage;
    const now = offer.state();
    this.#configGeneration = now.config_generation;
    this.#resetRequest = now.reset_done;
    this.#function = new VirtioPciFunction(
      {
        name: `slot ${slot}`,
        type: offer.type,
        queueSizes: offer.queues.map((queue) => queue.sizeMax),
        features: withKnownTransport(offer.features),
        configLength: offer.deviceConfig.length,
        deviceConfig: () => offer.deviceConfig,
        configGeneration: () => offer.state().config_generation,
      },
      this,
      machine.memory.size,
    );
    this.#function.connect(machine.plug(this.#function));
    this.#hostPage.setSlot(slot, { reset_request: this.#resetRequest });
  }

  /** The host rang: `value` is a queue that has used chains, or DOORBELL.config_changed. */
  doorbell(value: number): void {
    const mirror = this.#mirrors[value];
    if (mirror !== undefined) {
      if (mirror.used()) this.#function.queueInterrupt();
    } else if (value === DOORBELL.config_changed) {
      this.#slotChanged();
    }
  }

  /** The machine is gone: what its driver still does is not heard, and nothing touches its memory. */
  close(): void {
    this.#hostPage = undefined;
    this.#stopMirrors();
  }

  featuresAccepted(features: bigint): void {
    this.#features = features;
    this.#hostPage?.setSlot(this.#options.slot, { features_accepted: features });
  }

  queueEnabled(queue: number, ring: SplitRing): void {
    this.#rings[queue] = ring;
    this.#hostPage?.setQueue(this.#options.slot, queue, {
      size: ring.size,
      enabled: 1,
      descriptor_table: ring.descriptorTable,
      available_ring: ring.availableRing,
      used_ring: ring.usedRing,
    });
  }

  statusChanged(status: number): void {
    this.#hostPage?.setSlot(this.#options.slot, { status });
    this.#hostPage?.publish();
  }

  driverOk(status: number): void {
    if (this.#hostPage === undefined) return;
    // Before the host hears of the queues, so that what it finds in their mirrors is of this driver.
    this.#rings.forEach((ring, queue) => {
      if (ring !== undefined) this.#mirrors[queue] = this.#mirror(queue, ring);
    });
    this.statusChanged(status);
    this.#options.live();
    // A fault on the way empties the list.
    for (const mirror of this.#mirrors) mirror?.kick();
  }

  resetRequested(): void {
    this.#stopMirrors();
    this.#rings = [];
    this.#resetRequest = (this.#resetRequest + 1) >>> 0;
    const { slot } = this.#options;
    this.#hostPage?.clearQueues(slot);
    this.#hostPage?.setSlot(slot, {
      status: 0,
      features_accepted: 0n,
      fault: DRIVER_FAULT.none,
      fault_queue: 0,
      reset_request: this.#resetRequest,
    });
    this.#hostPage?.publish();
  }

  notified(queue: number): void {
    this.#mirrors[queue]?.kick();
  }

  configWritten(offset: number, width: 1 | 2 | 4, value: number): void {
    if (this.#hostPage === undefined) return;
    const { configWrites, offer, slot } = this.#options;
    if (this.#function.live) {
      takeDriverWrite(offer.type, this.#features, offer.deviceConfig, offset, width, value);
    }
    configWrites.post(slot, offset, width, value);
  }

  refused(error: DriverError, queue: number): void {
    const fault = DRIVER_FAULT[error.fault];
    this.#hostPage?.setSlot(this.#options.slot, { fault, fault_queue: queue });
    this.#hostPage?.publish();
  }

  #mirror(queue: number, ring: SplitRing): QueueMirror {
    return new QueueMirror({
      requester: this.#options.requester,
      memory: this.#memory,
      ring,
      indirect: hasFeature(this.#features, FEATURE.INDIRECT_DESC),
      eventIndex: hasFeature(this.#features, FEATURE.EVENT_IDX),
      row: this.#options.offer.queues[queue]!,
      sendMsi: this.#options.sendMsi,
      failed: (error) => {
        this.#stopMirrors();
        this.refused(error, queue);
        this.#function.needsReset();
      },
    });
  }

  #stopMirrors(): void {
    for (const mirror of this.#mirrors) mirror?.stop();
    this.#mirrors = [];
  }

  /** Acts on what the host changed in the slot: a reset carried out, a broken device, new configuration. */
  #slotChanged(): void {
    const now = this.#options.offer.state();
    if (now.reset_done === this.#resetRequest) {
      this.#function.resetDone();
      if (now.needs_reset !== DRIVER_FAULT.none) {
        this.#stopMirrors();
        this.#function.needsReset();
      }
    }
    if (now.config_generation !== this.#configGeneration) {
      this.#configGeneration = now.config_generation;
      this.#function.configInterrupt();
    }
  }
}
