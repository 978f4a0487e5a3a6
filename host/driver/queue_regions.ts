/**
 * What a device's queues take of the system memory window: for each a mirror ring and a staging area.
 *
 * @module
 */
import { minStagingLength, mirrorSize, recordSize } from "../../protocol/mod.ts";
import type { QueueOffer } from "./card_page.ts";
import type { Region, SystemMemory } from "./system_memory.ts";

const PAGE = 4096;
const STAGING_MIN = 64 * 1024;
const STAGING_MAX = 16 * 1024 * 1024;

/**
 * Bytes of staging for a queue: room for as many chains at the push limit as the queue has entries, within reason; a
 * record may take half of it, so two of the largest always fit.
 */
export function stagingLength(queueSize: number, pushLimit: number): number {
  const wanted = Math.min(STAGING_MAX, queueSize * recordSize(2, pushLimit));
  const least = Math.max(
    STAGING_MIN,
    minStagingLength(queueSize),
    2 * recordSize(queueSize, pushLimit),
  );
  return Math.ceil(Math.max(least, wanted) / PAGE) * PAGE;
}

/** The regions of one queue. */
export class QueueRegions implements Disposable {
  readonly mirror: Region;
  readonly staging: Region;
  readonly offer: QueueOffer;

  constructor(memory: SystemMemory, queueSize: number, pushLimit: number) {
    const access = { cardMayRead: false, cardMayWrite: true };
    this.mirror = memory.map(mirrorSize(queueSize), access);
    this.staging = memory.map(stagingLength(queueSize, pushLimit), access);
    this.offer = {
      sizeMax: queueSize,
      mirrorAddress: this.mirror.address,
      stagingAddress: this.staging.address,
      stagingLength: this.staging.bytes.length,
      pushLimit,
    };
  }

  [Symbol.dispose](): void {
    this.mirror[Symbol.dispose]();
    this.staging[Symbol.dispose]();
  }
}
