/**
 * Both ends of one virtqueue mirror in one process, with a driver on the card: card memory, the host's mirror and
 * staging, and two requesters whose frames move when told.
 *
 * @module
 */
import { type MirrorRow, QueueMirror } from "../../card/driver/mirror.ts";
import type { CardMemory } from "../../card/machine/types.ts";
import { MirrorQueue } from "../../host/driver/device_queue.ts";
import {
  type DriverError,
  le16,
  MESSAGE,
  mirrorSize,
  REGISTERS,
  type SplitRing,
  viewOf,
} from "../../protocol/mod.ts";
import { MemoryRequester } from "./memory_requester.ts";
import { RingDriver } from "./ring_driver.ts";

export const APERTURE = 0x10_0000_0000;
export const REGISTER_BASE = 0x20_0000_0000;
export const MIRROR = 0x80_0000_0000;
export const STAGING = 0x80_0100_0000;
export const MSI_EVENT = 0x30_0000_0000;
export const SLOT = 2;
export const DOORBELL_ADDRESS = REGISTER_BASE + REGISTERS.doorbell.at + 4 * (SLOT + 1);
export const QUEUE = 1;
export const MEMORY_SIZE = 0x20_0000;
/** Rings lie below, buffers above. */
export const BUFFERS = 0x1_0000;

export interface RigOptions {
  readonly size?: number;
  readonly eventIndex?: boolean;
  readonly indirect?: boolean;
  readonly maxPayload?: number;
  readonly stagingLength?: number;
  readonly pushLimit?: number;
}

/** Rings that lie in the first 64 KiB, not touching each other. */
export const ringOf = (size: number): SplitRing => ({
  size,
  descriptorTable: 0x1000,
  availableRing: 0x8000,
  usedRing: 0xa000,
});

export class MirrorRig {
  readonly bytes = new Uint8Array(MEMORY_SIZE);
  readonly written: [start: number, end: number][] = [];
  readonly faults: DriverError[] = [];
  readonly driver: RingDriver;
  readonly card: QueueMirror;
  readonly toHost: MemoryRequester;
  readonly toCard: MemoryRequester;
  host: MirrorQueue;
  mirror: Uint8Array;
  staging: Uint8Array;
  readonly msiEvent = new Uint8Array(2);
  msis = 0;
  interrupts = 0;
  doorbells = 0;
  readonly #options: Required<RigOptions>;
  readonly #ring: SplitRing;

  constructor(options: RigOptions = {}) {
    const all = this.#options = {
      size: 8,
      eventIndex: true,
      indirect: true,
      maxPayload: 8192,
      stagingLength: 0x1_0000,
      pushLimit: 4096,
      ...options,
    };
    const ring = this.#ring = ringOf(all.size);
    this.mirror = new Uint8Array(mirrorSize(all.size));
    this.staging = new Uint8Array(all.stagingLength);
    this.toHost = new MemoryRequester(all.maxPayload, [], {
      register: (address, bytes) => this.#hostMemory(address, bytes),
      message: (code) => {
        if (code === MESSAGE.msi) this.msis++;
      },
    });
    this.toCard = new MemoryRequester(all.maxPayload, [
      { base: APERTURE, bytes: this.bytes },
      { base: MSI_EVENT, bytes: this.msiEvent },
    ], {
      register: (address, bytes) => {
        if (address !== DOORBELL_ADDRESS || bytes.length !== 4 || bytes[0] !== QUEUE) {
          throw new Error(`not the doorbell of queue ${QUEUE}: ${bytes} to ${address}`);
        }
        this.doorbells++;
        if (this.card.used()) this.interrupts++;
      },
    });
    this.driver = new RingDriver(this.bytes, ring, all);
    const memory: CardMemory = {
      size: MEMORY_SIZE,
      bytes: () => this.bytes,
      view: () => viewOf(this.bytes),
      written: (start, end) => this.written.push([start, end]),
    };
    this.card = new QueueMirror({
      requester: this.toHost,
      memory,
      ring,
      indirect: all.indirect,
      eventIndex: all.eventIndex,
      row: this.row(),
      sendMsi: () => this.toHost.message(MESSAGE.msi, SLOT + 1),
      failed: (error) => this.faults.push(error),
    });
    this.host = this.#newHost({ available: 0, used: 0 });
    this.settle();
  }

  row(): MirrorRow {
    return {
      mirrorAddress: MIRROR,
      stagingAddress: STAGING,
      stagingLength: this.#options.stagingLength,
      pushLimit: this.#options.pushLimit,
      msiEvent: () => le16.get(viewOf(this.msiEvent), 0),
    };
  }

  /** The driver notifies, if the device wants to be. */
  notify(): void {
    if (this.driver.shouldNotify()) this.card.kick();
  }

  /** Moves every frame there is, and those that follow from them. */
  settle(): void {
    while (this.toHost.deliver() || this.toCard.deliver());
  }

  /** A new host process: fresh memory, and nothing known but what the card says. */
  restartHost(): void {
    this.host.stop();
    this.toCard.frames.length = 0;
    this.toHost.frames.length = 0;
    this.mirror = new Uint8Array(this.mirror.length);
    this.staging = new Uint8Array(this.staging.length);
    this.msiEvent.fill(0);
    this.card.reoffer(this.row());
    while (this.toHost.deliver());
    // As in the host page: the mirror begins at the chains that are not used.
    const { used } = this.card.indices;
    this.host = this.#newHost({ available: used, used });
  }

  #newHost(indices: { available: number; used: number }): MirrorQueue {
    return new MirrorQueue({
      requester: this.toCard,
      apertureBase: APERTURE,
      registerBase: REGISTER_BASE,
      cardMemorySize: MEMORY_SIZE,
      slot: SLOT,
      index: QUEUE,
      ring: this.#ring,
      indices,
      mirror: this.mirror,
      staging: this.staging,
      msiEventAddress: MSI_EVENT,
    });
  }

  /** The host's windows, which are other memory after a restart. */
  #hostMemory(address: number, bytes: Uint8Array): void {
    const [base, memory] = address < STAGING ? [MIRROR, this.mirror] : [STAGING, this.staging];
    const at = address - base;
    if (at < 0 || at + bytes.length > memory.length) {
      throw new Error(`Unsupported request: ${bytes.length} bytes at ${address}`);
    }
    memory.set(bytes, at);
  }
}

/** Serves every chain the host has: writes the readable bytes, repeated and inverted, over all writable ones. */
export async function serveAll(host: MirrorQueue): Promise<number> {
  let served = 0;
  for (let chain = host.pop(); chain !== undefined; chain = host.pop()) {
    const read = await host.fetch(chain, new AbortController().signal);
    host.write(chain, 0, answer(read, chain.writableLength));
    host.push(chain, chain.writableLength);
    served++;
  }
  host.publish();
  return served;
}

/** What {@linkcode serveAll} writes for `read`. */
export function answer(read: Uint8Array, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => read.length === 0 ? 0x55 : ~read[i % read.length]!);
}
