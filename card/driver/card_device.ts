/**
 * One device of the card: the virtio-pci function that the card OS sees, the mirrors of its queues, and its slots in
 * card page (what the host says) and host page (what the driver does).
 *
 * - **Spec:** virtio 1.3 §2.1 (status), §2.4 (reset), §3.1.1 (initialisation).
 * A host may go and another come while the driver runs. Between the two the device is parked: what the driver does is
 * remembered, its chains wait, and so does a reset. The next host is told all of it (`adopt`), and is offered every
 * chain that was not used.
 *
 * - **Invariant:** mirrors exist between DRIVER_OK and reset, fault or close, and at no other time; while the device is
 *   parked they do nothing.
 *
 * @module
 */
import {
  checkAccepted,
  DEVICE_STATUS,
  DOORBELL,
  DRIVER_FAULT,
  DriverError,
  FEATURE,
  hasFeature,
  page,
  type Requester,
  type SplitRing,
  withKnownTransport,
} from "../../protocol/mod.ts";
import type { CardMemory, Machine } from "../machine/types.ts";
import type { SlotOffer } from "./card_slot.ts";
import type { ConfigWrites } from "./config_writes.ts";
import { beginDriverFields, keepDriverWrites, takeDriverWrite } from "./driver_fields.ts";
import type { HostPage } from "./host_page.ts";
import { QueueMirror } from "./mirror.ts";
import { VirtioPciFunction } from "./virtio_pci.ts";
import type { VirtioPciEvents } from "./virtio_pci_types.ts";

export interface CardDeviceOptions {
  readonly slot: number;
  readonly offer: SlotOffer;
  readonly machine: Machine;
  /** Plugged where it can be pulled again. */
  readonly hot: boolean;
  readonly requester: Requester;
  readonly hostPage: HostPage;
  readonly configWrites: ConfigWrites;
  /** Sends the slot's MSI. */
  sendMsi(): void;
  /** DRIVER_OK. */
  live(): void;
  /** The card OS has let go of a device that left: nothing of it is touched any more. */
  gone(): void;
}

export class CardDevice implements VirtioPciEvents {
  readonly #options: CardDeviceOptions;
  readonly #memory: CardMemory;
  /** Undefined once closed, and while the host has no such device. */
  #hostPage: HostPage | undefined;
  #offer: SlotOffer;
  /** Device configuration space and its generation, as the driver reads them. */
  #config: Uint8Array;
  #generation: number;
  readonly #function: VirtioPciFunction;
  #mirrors: (QueueMirror | undefined)[] = [];
  #rings: (SplitRing | undefined)[] = [];
  #features = 0n;
  /** Generation of the bytes that were copied from the card page last. */
  #configGeneration: number;
  /** The host is gone. */
  #parked = false;
  /** Why the driver has to reset the device: a DRIVER_FAULT number. */
  #fault: number = DRIVER_FAULT.none;
  /** What to do once a new host knows of the device. */
  #afterAdoption: (() => void)[] = [];
  /** Resets asked for; the host has carried one out when its `reset_done` says the same number. */
  #resetRequest: number;
  #leaving = false;

  /** Plugs the device into the machine. @throws {RangeError} if there is no place */
  constructor(options: CardDeviceOptions) {
    const { offer, machine, slot } = options;
    this.#options = options;
    this.#memory = machine.memory;
    this.#hostPage = options.hostPage;
    this.#offer = offer;
    this.#config = offer.deviceConfig.slice();
    const now = offer.state();
    this.#configGeneration = this.#generation = now.config_generation;
    this.#resetRequest = now.reset_done;
    this.#function = new VirtioPciFunction(
      {
        name: `slot ${slot}`,
        type: offer.type,
        queueSizes: offer.queues.map((queue) => queue.sizeMax),
        features: withKnownTransport(offer.features),
        configLength: offer.deviceConfig.length,
        deviceConfig: () => this.#config,
        configGeneration: () => this.#generation,
      },
      this,
      machine.memory.size,
    );
    const { hot } = options;
    const line = hot ? machine.plugHot(this.#function) : machine.plug(this.#function);
    this.#function.connect(line);
    const plug = hot ? page.PLUG.removable : page.PLUG.fixed;
    this.#hostPage.setSlot(slot, { ...UNTOUCHED, reset_request: this.#resetRequest, plug });
  }

  get type(): number {
    return this.#offer.type;
  }

  /** The host takes the device away: it goes as soon as its driver has let go of it. One that is fixed stays. */
  leave(): void {
    if (this.#leaving || !this.#options.hot) return;
    this.#leaving = true;
    this.#options.machine.announceRemoval(this.#function);
    this.#goIfIdle();
  }

  /** A driver resets its device as the last thing that it does with it. */
  #goIfIdle(): void {
    if (!this.#leaving || this.#function.status !== 0) return;
    const { hostPage, machine, slot, gone } = this.#options;
    machine.unplug(this.#function);
    this.close();
    hostPage.clearQueues(slot);
    hostPage.setSlot(slot, { ...UNTOUCHED, plug: page.PLUG.none });
    hostPage.publish();
    gone();
  }

  /** The host rang: `value` is a queue that has used chains, or DOORBELL.config_changed. */
  doorbell(value: number): void {
    if (this.#parked) return;
    const mirror = this.#mirrors[value];
    if (mirror !== undefined) {
      if (mirror.used()) this.#function.queueInterrupt();
    } else if (value === DOORBELL.config_changed) {
      this.#slotChanged();
    }
  }

  /** The host is gone; its half of the device page is about to be. */
  park(): void {
    this.#parked = true;
    for (const mirror of this.#mirrors) mirror?.park();
  }

  /**
   * Another host offers the device so; undefined if it does not offer it. Returns why the driver has to reset the
   * device, if it has to. `resume` follows when the host page was published.
   */
  adopt(offer: SlotOffer | undefined): DriverError | undefined {
    this.#parked = false;
    const ran = this.#mirrors.length > 0;
    if (offer === undefined && this.#options.hot) return this.#leaveWithoutHost();
    if (offer === undefined || offer.type !== this.#offer.type) return this.#lose(offer);
    this.#offer = offer;
    this.#hostPage = this.#options.hostPage;
    const { features, queues } = offer;
    this.#function.reoffer(withKnownTransport(features), queues.map(({ sizeMax }) => sizeMax));
    // Nobody touches the driver's memory now: a reset that it waits for is done.
    this.#function.resetDone();
    const now = offer.state();
    this.#resetRequest = now.reset_done;
    this.#configGeneration = now.config_generation;
    this.#takeConfig();
    const error = this.#mismatch();
    if (error !== undefined) this.#break(error, 0);
    else if (this.#function.live && this.#fault === DRIVER_FAULT.none) this.#offerChains();
    this.#tellAll(ran && this.#fault === DRIVER_FAULT.none);
    return error;
  }

  /** The host that adopted the device knows of it. */
  resume(): void {
    const actions = this.#afterAdoption;
    this.#afterAdoption = [];
    for (const action of actions) action();
  }

  /** The machine is gone: what its driver still does is not heard, and nothing touches its memory. */
  close(): void {
    this.#hostPage = undefined;
    this.#stopMirrors();
  }

  featuresAccepted(features: bigint): void {
    this.#features = features;
    if (beginDriverFields(this.#offer.type, features, this.#config)) this.#configWasChanged();
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
    if (!this.#parked && this.#fault === DRIVER_FAULT.none) {
      this.#rings.forEach((ring, queue) => {
        if (ring !== undefined) this.#mirrors[queue] = this.#mirror(queue, ring);
      });
    }
    this.statusChanged(status);
    this.#options.live();
    // A fault on the way empties the list.
    for (const mirror of this.#mirrors) mirror?.kick();
  }

  resetRequested(): void {
    this.#stopMirrors();
    this.#rings = [];
    this.#fault = DRIVER_FAULT.none;
    this.#features = 0n;
    if (this.#hostPage === undefined) {
      // Nobody serves the device.
      this.#function.resetDone();
      return this.#goIfIdle();
    }
    // What the driver wrote is forgotten; while there is no host, the bytes come with the next one.
    if (!this.#parked) this.#setConfig(this.#copyConfig());
    this.#resetRequest = (this.#resetRequest + 1) >>> 0;
    const { slot } = this.#options;
    this.#hostPage.clearQueues(slot);
    this.#hostPage.setSlot(slot, {
      status: 0,
      features_accepted: 0n,
      fault: DRIVER_FAULT.none,
      fault_queue: 0,
      adopted: 0,
      reset_request: this.#resetRequest,
    });
    this.#hostPage.publish();
  }

  notified(queue: number): void {
    this.#mirrors[queue]?.kick();
  }

  configWritten(offset: number, width: 1 | 2 | 4, value: number): void {
    if (this.#hostPage === undefined) return;
    const { configWrites, slot } = this.#options;
    if (this.#function.live) {
      const { type } = this.#offer;
      const changed = takeDriverWrite(type, this.#features, this.#config, offset, width, value);
      if (changed) this.#configWasChanged();
    }
    configWrites.post(slot, offset, width, value);
  }

  refused(error: DriverError, queue: number): void {
    this.#stopMirrors();
    this.#setFault(error, queue);
    this.#hostPage?.publish();
  }

  #setFault(error: DriverError, queue: number): void {
    const fault = this.#fault = DRIVER_FAULT[error.fault];
    this.#hostPage?.setSlot(this.#options.slot, { fault, fault_queue: queue });
  }

  #mirror(queue: number, ring: SplitRing): QueueMirror {
    return new QueueMirror({
      requester: this.#options.requester,
      memory: this.#memory,
      ring,
      indirect: hasFeature(this.#features, FEATURE.INDIRECT_DESC),
      eventIndex: hasFeature(this.#features, FEATURE.EVENT_IDX),
      row: this.#offer.queues[queue]!,
      sendMsi: this.#options.sendMsi,
      failed: (error) => {
        this.#break(error, queue);
        this.#hostPage?.publish();
      },
    });
  }

  /** The device is of no use until its driver resets it; not published yet. */
  #break(error: DriverError, queue: number): void {
    this.#stopMirrors();
    this.#setFault(error, queue);
    this.#function.needsReset();
  }

  /** The host has no such device: it hears nothing of it, and the driver finds one that it cannot use. */
  #lose(offer: SlotOffer | undefined): DriverError | undefined {
    const { slot } = this.#options;
    const found = offer === undefined ? "nothing" : `one of type ${offer.type}`;
    const error = new DriverError(
      "features",
      `Cannot go on with device of type ${this.#offer.type}: the new host has ${found} in slot ${slot}`,
    );
    this.#break(error, 0);
    this.#options.hostPage.clearQueues(slot);
    this.#options.hostPage.setSlot(slot, UNTOUCHED);
    this.#hostPage = undefined;
    this.#function.reoffer(0n, []);
    this.#function.resetDone();
    return error;
  }

  /** The host has no such device, and the card OS can do without: it is taken away. */
  #leaveWithoutHost(): undefined {
    const { hostPage, slot } = this.#options;
    this.#stopMirrors();
    hostPage.clearQueues(slot);
    hostPage.setSlot(slot, { ...UNTOUCHED, plug: page.PLUG.removable });
    this.#hostPage = undefined;
    this.#function.resetDone();
    this.leave();
    this.#goIfIdle();
  }

  /** What the driver set up and this host cannot serve. */
  #mismatch(): DriverError | undefined {
    const { features, queues, type } = this.#offer;
    if (this.#function.status & DEVICE_STATUS.FEATURES_OK) {
      try {
        checkAccepted(withKnownTransport(features), this.#features);
      } catch (error) {
        if (error instanceof DriverError) return error;
        throw error;
      }
    }
    for (const [queue, ring] of this.#rings.entries()) {
      const sizeMax = queues[queue]?.sizeMax ?? 0;
      if (ring === undefined || ring.size <= sizeMax) continue;
      return new DriverError(
        "queue-setup",
        `Cannot go on with device of type ${type}: its driver uses queue ${queue} with ${ring.size} entries, ` +
          `the new host has ${sizeMax}`,
      );
    }
  }

  /** Gives every queue of the live device its mirror in the new host's memory. */
  #offerChains(): void {
    const { hostPage, slot } = this.#options;
    for (const [queue, ring] of this.#rings.entries()) {
      if (ring === undefined) continue;
      let mirror = this.#mirrors[queue];
      // A driver that came up without a host has none yet.
      const first = mirror?.reoffer(this.#offer.queues[queue]!);
      mirror ??= this.#mirrors[queue] = this.#mirror(queue, ring);
      if (this.#fault !== DRIVER_FAULT.none) return;
      const { available, used } = first ?? mirror.indices;
      hostPage.setQueue(slot, queue, { available_index: available, used_index: used });
      this.#afterAdoption.push(() => {
        if (this.#mirrors[queue] === mirror) this.doorbell(queue);
        mirror.kick();
      });
    }
  }

  /** Takes the new host's configuration over: the driver is told if it differs, the host of what the driver wrote. */
  #takeConfig(): void {
    const before = this.#config;
    const config = this.#copyConfig();
    if (this.#function.live) {
      const { configWrites, slot } = this.#options;
      keepDriverWrites(this.#offer.type, this.#features, before, config, (offset, value) => {
        this.#afterAdoption.push(() => configWrites.post(slot, offset, 1, value));
      });
    }
    if (this.#setConfig(config)) this.#function.configInterrupt();
  }

  /** What the driver reads from now on; true if it is other than before. */
  #setConfig(config: Uint8Array): boolean {
    const before = this.#config;
    this.#config = config;
    if (config.every((byte, at) => byte === before[at])) return false;
    this.#configWasChanged();
    return true;
  }

  /** The driver must see by the generation that its bytes are others than they were. */
  #configWasChanged(): void {
    this.#generation = (this.#generation + 1) >>> 0;
  }

  /** Device configuration as the host has it; as long as it was when the device was plugged. */
  #copyConfig(): Uint8Array {
    const config = new Uint8Array(this.#config.length);
    config.set(this.#offer.deviceConfig.subarray(0, config.length));
    // A driver that the host does not know of yet.
    const { live, status } = this.#function;
    if (!live && (status & DEVICE_STATUS.FEATURES_OK) !== 0) {
      beginDriverFields(this.#offer.type, this.#features, config);
    }
    return config;
  }

  /** The slot of the host page as it is now, for a host that knows nothing. */
  #tellAll(adopted: boolean): void {
    const { status } = this.#function;
    this.#hostPage?.setSlot(this.#options.slot, {
      status: status & ~DEVICE_STATUS.DEVICE_NEEDS_RESET,
      reset_request: this.#resetRequest,
      features_accepted: status & DEVICE_STATUS.FEATURES_OK ? this.#features : 0n,
      fault: this.#fault,
      adopted: adopted ? 1 : 0,
    });
  }

  #stopMirrors(): void {
    for (const mirror of this.#mirrors) mirror?.stop();
    this.#mirrors = [];
  }

  /** Acts on what the host changed in the slot: a reset carried out, a broken device, new configuration. */
  #slotChanged(): void {
    const now = this.#offer.state();
    if (now.reset_done === this.#resetRequest) {
      this.#function.resetDone();
      if (this.#leaving) return this.#goIfIdle();
      if (now.needs_reset !== DRIVER_FAULT.none) {
        this.#fault = now.needs_reset;
        this.#stopMirrors();
        this.#function.needsReset();
      }
    }
    if (now.config_generation !== this.#configGeneration) {
      this.#generation = (this.#generation + now.config_generation - this.#configGeneration) >>> 0;
      this.#configGeneration = now.config_generation;
      this.#config = this.#copyConfig();
      this.#function.configInterrupt();
    }
  }
}

/** A slot that no driver has touched. */
const UNTOUCHED: Parameters<HostPage["setSlot"]>[1] = {
  status: 0,
  reset_request: 0,
  features_accepted: 0n,
  fault: DRIVER_FAULT.none,
  fault_queue: 0,
  adopted: 0,
};
