/**
 * One device on one card, for one boot: what is published of it, and what its driver does with it.
 *
 *     idle ── DRIVER_OK ──> running ── fault ──> failed
 *      ^                       └── reset request ──┴──> stopping ──┐
 *      └──────────────────────── reset done ───────────────────────┘
 *
 * All that the driver asks for arrives in the host page and is announced by MSI vector slot + 1; a vector that comes
 * late, twice or for nothing does no harm, because what counts is what the page says. A driver that breaks the rules
 * costs the device its session (DEVICE_NEEDS_RESET), and nothing else.
 *
 * Every answer to a driver is posted, so a driver is heard only while the link is writable: one that resets without end
 * and takes no answers makes nothing grow here.
 *
 * @module
 */
import {
  checkAccepted,
  DEVICE_STATUS,
  DRIVER_FAULT,
  DriverError,
  type DriverFault,
  page,
  type Requester,
  type Width,
} from "../../protocol/mod.ts";
import type { AttachedDevice } from "./attached_device.ts";
import type { CardPage } from "./card_page.ts";
import type { CardWindows } from "./card_registers.ts";
import { MirrorQueue } from "./device_queue.ts";
import { Condition } from "./condition.ts";
import type { DeviceFault } from "./events.ts";
import type { HostPage } from "./host_page.ts";
import { QueueRegions } from "./queue_regions.ts";
import { Session } from "./session.ts";
import type { SystemMemory } from "./system_memory.ts";

const { CARD_QUEUE } = page;

export interface SlotOptions {
  /** 0 to SLOTS - 1. */
  readonly number: number;
  readonly attached: AttachedDevice;
  readonly requester: Requester;
  readonly windows: CardWindows;
  /** Bytes of card memory. */
  readonly cardMemoryBytes: number;
  readonly cardPage: CardPage;
  readonly hostPage: HostPage;
  readonly memory: SystemMemory;
  readonly onStarted: (slot: number, device: string) => void;
  readonly onFault: (fault: DeviceFault) => void;
}

/** What its driver has made of a device, as far as the card says. */
export interface SlotView {
  /** Device status byte as the driver wrote it last. */
  readonly status: number;
  /** Features accepted; 0 before. */
  readonly features: bigint;
  /** The device waits for a reset by its driver. */
  readonly needsReset: boolean;
}

type Phase = "idle" | "running" | "failed" | "stopping" | "unplugged";

export class Slot {
  readonly #options: SlotOptions;
  /** By queue; undefined for one that does not exist. */
  readonly #regions: readonly (QueueRegions | undefined)[];
  #phase: Phase = "idle";
  #session: Session | undefined;
  #configGeneration = 0;
  /** A configuration that waits for the link. */
  #configChanged = false;
  /** An interrupt that waits for the link. */
  #interrupted = false;
  /** The last reset request that was carried out. */
  #resetDone = 0;
  /** A device reset that is under way; never rejects. */
  #stopping: Promise<void> | undefined;
  /** The card said something, or will say nothing more. */
  readonly #told = new Condition();
  /** It was taken away: all that counts is that the card lets go of it. */
  #leaving = false;

  /** Maps the queues' regions and publishes the device. */
  constructor(options: SlotOptions) {
    const { attached, number, memory, cardPage } = options;
    const { device } = attached;
    this.#options = options;
    this.#regions = device.queueSizes.map((size, queue) =>
      size === 0 ? undefined : new QueueRegions(memory, size, device.pushLimits[queue]!)
    );
    attached.plugInto(this);
    cardPage.writeSlot(number, {
      type: device.type,
      features: attached.features,
      config: device.config(),
      configGeneration: 0,
      resetDone: 0,
      queues: this.#regions.map((regions) => regions?.offer ?? NO_QUEUE),
    });
  }

  get view(): SlotView {
    const { hostPage, number } = this.#options;
    return {
      status: hostPage.status(number) & 0xff,
      features: this.#session?.features ?? hostPage.features(number),
      needsReset: this.#phase === "failed",
    };
  }

  /** PLUG number of its function on the card's bus. */
  get plug(): number {
    return this.#options.hostPage.plug(this.#options.number);
  }

  /** Resolves with what became of its function on the card's bus; `none` if the boot is over. */
  plugged(signal: AbortSignal): Promise<number> {
    return this.#told.until(() => {
      if (this.#phase === "unplugged") return page.PLUG.none;
      return this.plug || undefined;
    }, { signal });
  }

  /** Takes the device away from the card; resolves when nothing of it is touched there any more. */
  async leave(signal: AbortSignal): Promise<void> {
    const { cardPage, number } = this.#options;
    if (!this.#leaving) {
      this.#leaving = true;
      cardPage.clearSlot(number);
    }
    await this.#told.until(
      () => this.#phase === "unplugged" || this.plug === page.PLUG.none || undefined,
      { signal },
    );
  }

  /** Handles MSI vector slot + 1. Never throws. */
  interrupt(): void {
    this.#told.notify();
    if (this.#leaving && this.plug === page.PLUG.none) return;
    if (this.#phase === "stopping" || this.#phase === "unplugged") return;
    const { hostPage, number, requester } = this.#options;
    if (!requester.writable) return this.#interruptLater();
    const request = hostPage.resetRequest(number);
    if (request !== this.#resetDone) {
      this.#phase = "stopping";
      this.#stopping = this.#reset(request);
      return;
    }
    if (this.#phase === "failed") return;
    const fault = hostPage.fault(number);
    if (fault !== DRIVER_FAULT.none) {
      const error = cardFault(fault, hostPage.faultQueue(number));
      if (this.#session) this.#session.fail(error);
      else this.#failed(error);
    } else if (this.#phase === "running") {
      this.#notify();
    } else if (hostPage.status(number) & DEVICE_STATUS.DRIVER_OK) {
      this.#start();
    }
  }

  #interruptLater(): void {
    if (this.#interrupted) return;
    this.#interrupted = true;
    this.#options.requester.onWritable(() => {
      this.#interrupted = false;
      this.interrupt();
    });
  }

  /** The driver wrote device configuration space. Never throws. */
  configWritten(offset: number, width: Width, value: number): void {
    if (this.#phase === "unplugged" || offset + width > page.DEVICE_CONFIG_SIZE) return;
    this.#guard(() => this.#options.attached.device.configWritten(offset, width, value));
  }

  /** The device's configuration changed: publishes it and interrupts the driver, once the link takes it. */
  configChanged(): void {
    if (this.#phase === "unplugged" || this.#configChanged) return;
    this.#configChanged = true;
    const { requester } = this.#options;
    if (requester.writable) this.#publishConfig();
    else requester.onWritable(() => this.#publishConfig());
  }

  #publishConfig(): void {
    if (this.#phase === "unplugged" || !this.#configChanged) return;
    this.#configChanged = false;
    this.#configGeneration = (this.#configGeneration + 1) >>> 0;
    const { attached, cardPage, number } = this.#options;
    cardPage.writeConfig(number, attached.device.config(), this.#configGeneration);
  }

  /** The card is reset or gone: resolves when the device touches no chain any more. Nothing is posted. */
  async unplug(): Promise<void> {
    if (this.#phase === "unplugged") return;
    this.#phase = "unplugged";
    this.#told.notify();
    this.#options.attached.plugInto(undefined);
    this.#session?.end();
    await this.#stopping;
    await this.#stopDevice();
  }

  /** Unmaps the queues' regions. Only after {@linkcode unplug}, and when the card writes no more. */
  release(): void {
    for (const regions of this.#regions) regions?.[Symbol.dispose]();
  }

  #start(): void {
    const { attached, number, hostPage, requester, onStarted } = this.#options;
    try {
      const features = hostPage.features(number);
      checkAccepted(attached.features, features);
      const queues = attached.device.queueSizes.map((_, queue) => this.#makeQueue(queue));
      const onFail = (error: unknown) => this.#failed(error);
      const adopted = hostPage.adopted(number);
      this.#session = new Session({ features, queues, adopted, requester, onFail });
    } catch (error) {
      return this.#failed(error);
    }
    this.#phase = "running";
    onStarted(number, attached.device.name);
    this.#guard(() => attached.device.start(this.#session!));
    this.#notify();
  }

  /** @throws {DriverError} for a queue that cannot be */
  #makeQueue(queue: number): MirrorQueue | undefined {
    const { attached, number, hostPage, cardPage, windows, requester, cardMemoryBytes } =
      this.#options;
    const setup = hostPage.queue(number, queue);
    if (setup.enabled === 0) return undefined;
    const regions = this.#regions[queue];
    const sizeMax = regions?.offer.sizeMax ?? 0;
    if (regions === undefined || setup.size > sizeMax) {
      throw new DriverError(
        "queue-setup",
        `Cannot set up queue ${queue}: size ${setup.size}, at most ${sizeMax} was offered`,
      );
    }
    return new MirrorQueue({
      requester,
      apertureBase: windows.aperture.address,
      registerBase: windows.registers.address,
      cardMemorySize: cardMemoryBytes,
      slot: number,
      index: queue,
      ring: {
        size: setup.size,
        descriptorTable: setup.descriptor_table,
        availableRing: setup.available_ring,
        usedRing: setup.used_ring,
      },
      indices: { available: setup.available_index, used: setup.used_index },
      mirror: regions.mirror.bytes,
      staging: regions.staging.bytes,
      msiEventAddress: cardPage.queueAddress(number, queue) + CARD_QUEUE.at.msi_event,
      counters: attached.counters,
    });
  }

  /** Tells the device of every queue that has chains; a queue may fail the device on the way. */
  #notify(): void {
    const { device, counters } = this.#options.attached;
    const { queues } = this.#session!;
    for (let queue = 0; queue < queues.length && this.#phase === "running"; queue++) {
      if (!queues[queue]?.pending) continue;
      counters.notifications++;
      this.#guard(() => device.notified(queue));
    }
  }

  /** Runs code of the device: what it throws costs it its session, not the link. */
  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      if (this.#session) this.#session.fail(error);
      else this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    const { number, attached, cardPage, onFault } = this.#options;
    const fault = error instanceof DriverError ? error.fault : "internal";
    if (this.#phase === "idle" || this.#phase === "running") {
      this.#phase = "failed";
      // The driver can only be told that the device is broken, not that it was our fault.
      cardPage.writeNeedsReset(number, DRIVER_FAULT[fault === "internal" ? "request" : fault]);
    }
    onFault({
      slot: number,
      device: attached.device.name,
      fault,
      error: error instanceof Error ? error : new Error(String(error)),
    });
  }

  async #reset(request: number): Promise<void> {
    this.#session?.end();
    await this.#stopDevice();
    if (this.#phase === "unplugged") return;
    for (const regions of this.#regions) regions?.mirror.bytes.fill(0);
    this.#resetDone = request;
    this.#phase = "idle";
    // The next driver starts with what the reset left.
    this.#publishConfig();
    const { cardPage, number } = this.#options;
    cardPage.writeResetDone(number, this.#regions.length, request);
    // The driver may have gone on, or asked again, while the device was stopping.
    this.interrupt();
  }

  async #stopDevice(): Promise<void> {
    if (this.#session === undefined) return;
    this.#session = undefined;
    try {
      await this.#options.attached.device.stop();
    } catch (error) {
      this.#failed(error);
    }
  }
}

const NO_QUEUE = {
  sizeMax: 0,
  mirrorAddress: 0,
  stagingAddress: 0,
  stagingLength: 0,
  pushLimit: 0,
} as const;

/** The fault that the card's chain walker reports by number. */
function cardFault(number: number, queue: number): DriverError {
  const names = Object.keys(DRIVER_FAULT) as DriverFault[];
  const fault = names.find((name) => DRIVER_FAULT[name] === number) ?? "record";
  return new DriverError(
    fault,
    `Cannot serve queue ${queue}: the card found ${fault} in its chains`,
  );
}
