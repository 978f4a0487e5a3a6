/**
 * A driver that does anything at all to one virtqueue, at random, with both ends of its mirror behind it.
 *
 * What must hold: only a DriverError stops a queue, at the card once or at the host; the card writes into its mirror and
 * staging alone, the host into card memory, doorbell and `msi_event` alone (the rig throws at anything else); and what
 * the host hands out lies in card memory.
 *
 * @module
 */
import { DriverError } from "../../protocol/mod.ts";
import type { MirrorQueue } from "../../host/driver/device_queue.ts";
import type { DescriptorChain } from "../../host/driver/virtio_device.ts";
import { BUFFERS, MEMORY_SIZE, MirrorRig } from "./mirror_rig.ts";
import type { Random } from "./random.ts";

const SIZE = 16;

export class GuestChaos {
  /** Operations done, queues that were set up, and faults by code. */
  operations = 0;
  queues = 0;
  readonly faults: Record<string, number> = {};
  readonly #random: Random;
  #rig!: MirrorRig;
  #broken = false;
  /** Where the next chain goes: most of the time it is not in use any more. */
  #head = 0;
  /** Chains made available since the device was notified. */
  #offered = 0;
  /** Chains that the host has taken and not given back. */
  #taken: DescriptorChain[] = [];

  constructor(random: Random) {
    this.#random = random;
    this.#setUp();
  }

  run(operations: number): void {
    for (let i = 0; i < operations; i++, this.operations++) {
      if (this.#broken) this.#setUp();
      this.#operate();
      const fault = this.#rig.faults[0];
      if (fault !== undefined) this.#break(fault);
    }
  }

  #below(limit: number): number {
    return this.#random.below(limit);
  }

  #setUp(): void {
    this.#rig = new MirrorRig({
      size: SIZE,
      eventIndex: this.#random.oneIn(2),
      indirect: !this.#random.oneIn(4),
      stagingLength: this.#random.oneIn(2) ? 0x400 : 0x4000,
      pushLimit: this.#random.oneIn(2) ? 64 : 4096,
    });
    this.#taken = [];
    this.#head = this.#offered = 0;
    this.#broken = false;
    this.queues++;
  }

  #operate(): void {
    const rig = this.#rig;
    switch (this.#below(16)) {
      case 0:
        return this.#scribble();
      case 1:
        if (this.#random.oneIn(8)) rig.driver.offer(this.#below(SIZE + 1));
        return;
      case 2:
      case 3:
      case 4:
        // Four chains at most, or nearly every queue would end with a head that is in use.
        if (this.#offered + rig.card.inFlight >= 4 && !this.#random.oneIn(20)) return;
        this.#offered++;
        return this.#chain();
      case 5:
        return rig.driver.wantInterrupt(this.#random.oneIn(2), this.#below(4));
      case 6:
      case 7:
        this.#offered = 0;
        return rig.card.kick();
      case 8:
        return void rig.card.used();
      case 9:
      case 10:
        return rig.settle();
      case 11:
      case 12:
        return this.#guard(() => this.#take(rig.host));
      case 13:
      case 14:
        return this.#give(rig.host);
      default:
        if (!this.#random.oneIn(20)) return;
        this.#taken = [];
        return this.#guard(() => rig.restartHost());
    }
  }

  /** Bytes of the rings, changed. */
  #scribble(): void {
    const { ring, view } = this.#rig.driver;
    const [at, length] = [
      [ring.descriptorTable, 16 * SIZE],
      [ring.availableRing, 6 + 2 * SIZE],
      [ring.usedRing, 6 + 8 * SIZE],
    ][this.#below(3)]!;
    if (!this.#random.oneIn(6)) return;
    view.setUint8(at! + this.#below(length!), this.#below(256));
  }

  /** A chain, more or less; some of it in an indirect table. */
  #chain(): void {
    const { driver } = this.#rig;
    const indirect = this.#random.oneIn(3);
    const count = 1 + this.#below(indirect ? SIZE + 1 : 4);
    const table = indirect ? BUFFERS + 512 * this.#below(16) : driver.ring.descriptorTable;
    const head = this.#head;
    const first = indirect ? 0 : head;
    this.#head = (head + 4) % SIZE;
    let writable = 0;
    for (let i = 0; i < count; i++) {
      if (this.#random.oneIn(3)) writable = 2;
      const last = i === count - 1;
      const odd = this.#random.oneIn(200);
      driver.describe(table, first + i, {
        addr: odd ? MEMORY_SIZE - this.#below(64) : BUFFERS + 0x1_0000 + this.#below(0x1_0000),
        len: this.#random.oneIn(8) ? 0 : this.#below(odd ? 128 : 2048),
        flags: (this.#random.oneIn(200) ? this.#below(8) : writable) | (last ? 0 : 1),
        next: last ? 0 : this.#random.oneIn(200) ? this.#below(SIZE + 2) : first + i + 1,
      });
    }
    if (indirect) {
      const len = 16 * count + (this.#random.oneIn(100) ? 8 : 0);
      driver.describe(driver.ring.descriptorTable, head, { addr: table, len, flags: 4, next: 0 });
    }
    driver.offer(head);
  }

  #take(host: MirrorQueue): void {
    const chain = host.pop();
    if (chain === undefined) return;
    const { addresses, lengths } = chain as unknown as Segments;
    const { readableCount, writableCount } = chain as unknown as Segments;
    for (let i = 0; i < readableCount + writableCount; i++) {
      if (addresses[i]! + lengths[i]! > MEMORY_SIZE) {
        throw new Error("A segment leaves card memory");
      }
    }
    this.#taken.push(chain);
  }

  #give(host: MirrorQueue): void {
    if (this.#taken.length === 0) return;
    const which = this.#random.oneIn(8) ? this.#below(this.#taken.length) : 0;
    const [chain] = this.#taken.splice(which, 1);
    const length = Math.min(chain!.writableLength, this.#below(4096));
    host.write(chain!, 0, new Uint8Array(length));
    host.push(chain!, length);
    if (this.#random.oneIn(2)) host.publish();
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof DriverError)) throw error;
      this.#break(error);
    }
  }

  #break({ fault }: DriverError): void {
    this.faults[fault] = (this.faults[fault] ?? 0) + 1;
    this.#rig.card.stop();
    this.#rig.host.stop();
    this.#broken = true;
  }
}

interface Segments {
  readonly addresses: Float64Array;
  readonly lengths: Uint32Array;
  readonly readableCount: number;
  readonly writableCount: number;
}
