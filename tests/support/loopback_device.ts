/**
 * A virtio device without host, link or mirror: it completes requests directly on the rings in card memory, behind the
 * real virtio-pci function. Written from the spec and not from our ring code, so that the two check each other.
 *
 * Only for tests: it trusts the driver.
 */
import { VirtioPciFunction } from "../../card/driver/virtio_pci.ts";
import type { CardMemory, Machine } from "../../card/machine/types.ts";
import type { DriverError, SplitRing } from "../../protocol/mod.ts";

/** A chain, copied out and ready to be given back. */
export interface LoopbackChain {
  readonly readable: Uint8Array;
  readonly writableLength: number;
  /** Writes to the writable part from `offset` on. */
  write(bytes: Uint8Array, offset?: number): void;
  /** Gives the chain back. */
  push(written: number): void;
}

export interface LoopbackModel {
  readonly type: number;
  readonly features: bigint;
  readonly queueSizes: readonly number[];
  config(): Uint8Array;
  /** Available buffer notification: take chains with `device.pop(queue)`. */
  notified(queue: number, device: LoopbackDevice): void;
}

/** VERSION_1, INDIRECT_DESC, EVENT_IDX. */
const TRANSPORT = 1n << 32n | 1n << 28n | 1n << 29n;

export class LoopbackDevice {
  readonly fn: VirtioPciFunction;
  readonly model: LoopbackModel;
  readonly refused: DriverError[] = [];
  features = 0n;
  notifications = 0;
  interrupts = 0;
  generation = 0;
  readonly #memory: CardMemory;
  readonly #queues: { ring: SplitRing; available: number; used: number; signalled: number }[] = [];

  /** Plugs itself into `machine`; `features` replaces the transport bits that are offered. */
  constructor(machine: Machine, model: LoopbackModel, features = TRANSPORT) {
    this.#memory = machine.memory;
    this.model = model;
    this.fn = new VirtioPciFunction(
      {
        name: `loopback ${model.type}`,
        type: model.type,
        queueSizes: model.queueSizes,
        features: model.features | features,
        configLength: model.config().length,
        deviceConfig: () => model.config(),
        configGeneration: () => this.generation,
      },
      {
        featuresAccepted: (features) => this.features = features,
        queueEnabled: (queue, ring) => {
          this.#queues[queue] = { ring, available: 0, used: 0, signalled: 0 };
        },
        statusChanged: () => {},
        driverOk: () => this.#queues.forEach((_, queue) => model.notified(queue, this)),
        resetRequested: () => {
          this.#queues.length = 0;
          this.fn.resetDone();
        },
        notified: (queue) => {
          this.notifications++;
          model.notified(queue, this);
        },
        configWritten: () => {},
        refused: (error) => this.refused.push(error),
      },
      machine.memory.size,
    );
    const line = machine.plug(this.fn);
    this.fn.connect({
      set: (asserted) => {
        if (asserted) this.interrupts++;
        line.set(asserted);
      },
    });
  }

  configChanged(): void {
    this.generation++;
    this.fn.configInterrupt();
  }

  pop(index: number): LoopbackChain | undefined {
    const queue = this.#queues[index];
    if (!queue) return undefined;
    const view = this.#memory.view();
    const { ring } = queue;
    if (view.getUint16(ring.availableRing + 2, true) === queue.available) {
      this.#askForNotification(queue);
      return undefined;
    }
    const slot = queue.available & (ring.size - 1);
    const head = view.getUint16(ring.availableRing + 4 + 2 * slot, true);
    queue.available = (queue.available + 1) & 0xffff;
    const readable: { address: number; length: number }[] = [];
    const writable: { address: number; length: number }[] = [];
    let table = ring.descriptorTable;
    let at = head;
    for (;;) {
      const descriptor = table + 16 * at;
      const address = Number(view.getBigUint64(descriptor, true));
      const length = view.getUint32(descriptor + 8, true);
      const flags = view.getUint16(descriptor + 12, true);
      if (flags & 4) {
        table = address;
        at = 0;
        continue;
      }
      (flags & 2 ? writable : readable).push({ address, length });
      if (!(flags & 1)) break;
      at = view.getUint16(descriptor + 14, true);
    }
    const memory = this.#memory;
    return {
      readable: concat(
        readable.map(({ address, length }) => memory.bytes().slice(address, address + length)),
      ),
      writableLength: writable.reduce((sum, { length }) => sum + length, 0),
      write(bytes, offset = 0) {
        let from = 0;
        for (const { address, length } of writable) {
          if (offset < length && from < bytes.length) {
            const piece = bytes.subarray(from, from + length - offset);
            memory.bytes().set(piece, address + offset);
            from += piece.length;
            offset = 0;
          } else offset -= Math.min(offset, length);
        }
      },
      push: (written) => this.#push(index, head, written),
    };
  }

  #push(index: number, head: number, written: number): void {
    const queue = this.#queues[index];
    if (!queue) return;
    const view = this.#memory.view();
    const { ring } = queue;
    const slot = queue.used & (ring.size - 1);
    view.setUint32(ring.usedRing + 4 + 8 * slot, head, true);
    view.setUint32(ring.usedRing + 8 + 8 * slot, written, true);
    const old = queue.used;
    queue.used = (queue.used + 1) & 0xffff;
    view.setUint16(ring.usedRing + 2, queue.used, true);
    const wanted = this.features & (1n << 29n)
      ? view.getUint16(ring.availableRing + 4 + 2 * ring.size, true) === old
      : (view.getUint16(ring.availableRing, true) & 1) === 0;
    if (wanted) this.fn.queueInterrupt();
  }

  #askForNotification(queue: { ring: SplitRing; available: number }): void {
    const { ring, available } = queue;
    this.#memory.view().setUint16(ring.usedRing + 4 + 8 * ring.size, available, true);
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
