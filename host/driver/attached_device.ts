/**
 * A device and what it is plugged into: nothing, or a slot of the card that is there now.
 *
 * A device outlives cards: a card process may go and another come while disks stay open. It is told of its slot once,
 * and that slot is this object.
 *
 * @module
 */
import { page, TRANSPORT_FEATURES } from "../../protocol/mod.ts";
import { Condition } from "./condition.ts";
import { type QueueCounters, queueCounters } from "./queue_counters.ts";
import type { DeviceSlot, VirtioDevice } from "./virtio_device.ts";

/** What can hear that a device's configuration changed. */
export interface Plug {
  configChanged(): void;
}

export class AttachedDevice implements DeviceSlot {
  readonly device: VirtioDevice;
  readonly counters: QueueCounters = queueCounters();
  readonly #changed = new Condition();
  #plug: Plug | undefined;

  /** @throws {RangeError} if the device asks for queues that cannot be */
  constructor(device: VirtioDevice) {
    const { name, queueSizes, pushLimits } = device;
    if (queueSizes.length > page.MAX_QUEUES || pushLimits.length !== queueSizes.length) {
      throw new RangeError(
        `Cannot attach ${name}: ${queueSizes.length} queues with ${pushLimits.length} push limits, at most ${page.MAX_QUEUES}`,
      );
    }
    for (const size of queueSizes) {
      if (!(size >= 0 && size <= page.MAX_QUEUE_SIZE) || (size & (size - 1)) !== 0) {
        throw new RangeError(
          `Cannot attach ${name}: queue size ${size}, wanted a power of two up to ${page.MAX_QUEUE_SIZE}`,
        );
      }
    }
    this.device = device;
    device.attached(this);
  }

  /** Features offered to the driver. */
  get features(): bigint {
    return this.device.features | TRANSPORT_FEATURES;
  }

  /** Plugs the device into a card; undefined pulls it. @throws {TypeError} if it is plugged in already */
  plugInto(plug: Plug | undefined): void {
    if (plug !== undefined && this.#plug !== undefined) {
      throw new TypeError(`Cannot plug ${this.device.name} into a card: it is in one already`);
    }
    this.#plug = plug;
    this.#changed.notify();
  }

  /** Resolves when it is plugged into nothing. */
  async pulled(signal: AbortSignal): Promise<void> {
    await this.#changed.until(() => this.#plug === undefined || undefined, { signal });
  }

  configChanged(): void {
    this.#plug?.configChanged();
  }
}
