/**
 * A driver for one virtio-pci function, by hand: it does what its test says, right or wrong. Its rings and buffers lie
 * in a piece of card memory of its own.
 *
 * @module
 */
import type { PciFunction } from "../../card/machine/types.ts";
import { type SplitRing, usedRingSize } from "../../protocol/mod.ts";
import { header } from "./block_driver.ts";
import type { FakeMachine } from "./fake_machine.ts";
import { RingDriver } from "./ring_driver.ts";
import { turnsUntil } from "./turns.ts";

/** Offsets in the function's BAR (virtio 1.3 §4.1.4.3), typed by hand; the rest of the BAR is this project's own. */
export const REG = {
  device_feature_select: 0x00,
  device_feature: 0x04,
  driver_feature_select: 0x08,
  driver_feature: 0x0c,
  config_msix_vector: 0x10,
  num_queues: 0x12,
  status: 0x14,
  config_generation: 0x15,
  queue_select: 0x16,
  queue_size: 0x18,
  queue_msix_vector: 0x1a,
  queue_enable: 0x1c,
  queue_notify_off: 0x1e,
  queue_desc: 0x20,
  queue_driver: 0x28,
  queue_device: 0x30,
  isr: 0x38,
  notify: 0x40,
} as const;
/** Device status (§2.1). */
export const STATUS = { FEATURES_OK: 11, DRIVER_OK: 15, NEEDS_RESET: 0x40 } as const;
/** ISR status (§4.1.4.5). */
export const ISR = { QUEUE: 1, CONFIG: 2 } as const;

export const ARENA = 1 << 20;
const QUEUE_SPACE = 0x8000;
const BUFFERS = ARENA / 2;
const DWORD = 2 ** 32;
/** Transport features that every guest here takes: VERSION_1 and INDIRECT_DESC. */
const TRANSPORT = 1n << 32n | 1n << 28n;

export class GuestDevice {
  readonly machine: FakeMachine;
  readonly index: number;
  /** Card memory from here on is this device's, ARENA bytes. */
  readonly arena: number;
  readonly rings: RingDriver[] = [];
  #buffers = 0;

  constructor(machine: FakeMachine, index: number, arena: number) {
    this.machine = machine;
    this.index = index;
    this.arena = arena;
  }

  get fn(): PciFunction {
    return this.machine.functions[this.index]!;
  }
  get memory(): Uint8Array {
    return this.machine.memory.bytes();
  }
  get status(): number {
    return this.read(REG.status, 1);
  }
  /** Level of INTx. */
  get interrupting(): boolean {
    return this.machine.lines[this.index]!;
  }

  read(offset: number, width: 1 | 2 | 4): number {
    return this.fn.read(offset, width);
  }
  write(offset: number, width: 1 | 2 | 4, value: number): void {
    this.fn.write(offset, width, value);
  }
  writeStatus(status: number): void {
    this.write(REG.status, 1, status);
  }

  get offered(): bigint {
    this.write(REG.device_feature_select, 4, 1);
    const high = BigInt(this.read(REG.device_feature, 4));
    this.write(REG.device_feature_select, 4, 0);
    return high << 32n | BigInt(this.read(REG.device_feature, 4));
  }

  /** `length` bytes of memory, 16-byte aligned. */
  buffer(length: number): number {
    const at = this.arena + BUFFERS + this.#buffers;
    this.#buffers += Math.ceil(length / 16) * 16;
    if (this.#buffers > ARENA - BUFFERS) throw new RangeError("The guest has no more buffers");
    return at;
  }

  /** Writes 0 and waits until the device has done it. */
  async reset(): Promise<void> {
    this.writeStatus(0);
    await turnsUntil(() => this.status === 0, "the device is reset");
    this.rings.length = 0;
    this.#buffers = 0;
    this.read(REG.isr, 1);
  }

  /** ACKNOWLEDGE, DRIVER, features, FEATURES_OK: what is offered, but for `without`, or else exactly `features`. */
  negotiate({ without = 0n, features }: Negotiation = {}): void {
    this.writeStatus(1);
    this.writeStatus(3);
    const wanted = features ??
      this.offered & (0xff_ffffn | TRANSPORT) & ~without;
    [wanted & 0xffff_ffffn, wanted >> 32n].forEach((word, select) => {
      this.write(REG.driver_feature_select, 4, select);
      this.write(REG.driver_feature, 4, Number(word));
    });
    this.writeStatus(STATUS.FEATURES_OK);
  }

  /** Where queue `queue` lies, if its test has no other wish. */
  place(queue: number, size = 16): SplitRing {
    const at = this.arena + queue * QUEUE_SPACE;
    if (0x5000 + usedRingSize(size) > QUEUE_SPACE) {
      throw new RangeError(`Queue of ${size}: too large`);
    }
    return { size, descriptorTable: at, availableRing: at + 0x4000, usedRing: at + 0x5000 };
  }

  /** Writes the registers of a queue, and enables it. */
  setUp(queue: number, ring: SplitRing = this.place(queue), eventIndex = false): RingDriver {
    const { size, descriptorTable, availableRing, usedRing } = ring;
    for (const at of [availableRing, usedRing]) this.memory.fill(0, at, at + 4);
    this.write(REG.queue_select, 2, queue);
    this.write(REG.queue_size, 2, size);
    this.#writeAddress(REG.queue_desc, descriptorTable);
    this.#writeAddress(REG.queue_driver, availableRing);
    this.#writeAddress(REG.queue_device, usedRing);
    this.write(REG.queue_enable, 2, 1);
    return this.rings[queue] = new RingDriver(this.memory, ring, { eventIndex });
  }

  /** Reset and all of §3.1.1, with queues of 16 entries. */
  async start(queues: number, negotiation?: Negotiation): Promise<void> {
    await this.reset();
    this.negotiate(negotiation);
    for (let queue = 0; queue < queues; queue++) this.setUp(queue);
    this.writeStatus(STATUS.DRIVER_OK);
  }

  notify(queue: number): void {
    this.write(REG.notify + 4 * queue, 2, queue);
  }

  /** Used element of `queue`, when there is one. */
  async used(queue: number): Promise<{ id: number; len: number }> {
    let element: { id: number; len: number } | undefined;
    await turnsUntil(
      () => (element = this.rings[queue]!.takeUsed()) !== undefined,
      `queue ${queue} has a used chain`,
    );
    return element!;
  }

  /** One block request on queue 0, of `bytes` of data, to its end. */
  async request(
    type: number,
    sector: number,
    bytes: number,
    fill: (data: Uint8Array) => void = () => {},
    take: (data: Uint8Array) => void = () => {},
  ): Promise<{ status: number; length: number }> {
    const at = this.buffer(16 + bytes + 1);
    const data = this.memory.subarray(at + 16, at + 16 + bytes);
    this.memory.set(header(type, sector), at);
    this.memory[at + 16 + bytes] = 0xee;
    fill(data);
    const piece = { address: at + 16, length: bytes };
    const reads = type === 0;
    this.rings[0]!.add(
      [{ address: at, length: 16 }, ...(reads || bytes === 0 ? [] : [piece])],
      [...(reads && bytes > 0 ? [piece] : []), { address: at + 16 + bytes, length: 1 }],
    );
    this.notify(0);
    const { len } = await this.used(0);
    take(data);
    return { status: this.memory[at + 16 + bytes]!, length: len };
  }

  #writeAddress(at: number, address: number): void {
    this.write(at, 4, address % DWORD);
    this.write(at + 4, 4, Math.floor(address / DWORD));
  }
}

export interface Negotiation {
  readonly without?: bigint;
  readonly features?: bigint;
}
