/**
 * A card process that speaks the wire as it should and lies in all that it carries: the endpoint's own configuration
 * space and registers, and behind them no bootstrap and no card driver, but a test that writes what it likes into host
 * page, mirror rings, staging and messages. The host is whole, with two disks and a network.
 *
 * @module
 */
import { BusMaster } from "../../card/endpoint/bus_master.ts";
import { Endpoint } from "../../card/endpoint/endpoint.ts";
import { DEFAULT_IDENTITY } from "../../card/endpoint/function.ts";
import { type QueueOffer, readCardSlot } from "../../card/driver/card_slot.ts";
import { delay } from "./block_filters.ts";
import { MemoryBackend } from "../../host/backends/memory.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { NetDevice } from "../../host/devices/net.ts";
import type { HostDriver } from "../../host/driver/host_driver.ts";
import { Host, type HostEvent } from "../../host/host.ts";
import {
  type Completer,
  dialLink,
  encodeDiagImage,
  type Link,
  page,
  PLATFORM,
  type TcpListener,
  type Transport,
  UnsupportedRequest,
  viewOf,
} from "../../protocol/mod.ts";
import { ArrayMemory } from "./array_memory.ts";
import { header } from "./block_driver.ts";
import { MemoryListener } from "./memory_listener.ts";
import { MemoryNet } from "./memory_net.ts";
import { turnsUntil } from "./turns.ts";

const MIB = 1 << 20;
export const CARD_MEMORY = 4 * MIB;
/** Entries of every queue that is set up as it should be. */
export const SIZE = 16;
/** VERSION_1 alone. */
const FEATURES = 1n << 32n;
const DRIVER_OK = 15;
export const MSI = 1;
export const POST_CODE = 4;
export const CONFIG_WRITE = 5;

/** Fields of a chain record as they go into staging (protocol/README.md, "Virtqueue mirror"). */
export interface RawRecord {
  readonly head?: number;
  readonly readable?: number;
  readonly writable?: number;
  readonly readableLength?: number;
  readonly pushedLength?: number;
  readonly segments?: readonly (readonly [address: number | bigint, length: number])[];
  readonly data?: Uint8Array;
}

/** One queue as the card has it. */
interface RawQueue {
  readonly offer: QueueOffer;
  readonly rings: number;
  /** Mirror index, and used index. */
  index: number;
  used: number;
}

/** What joins the two: memory, unless a test wants sockets. */
export interface HostileWire {
  readonly listener: TcpListener;
  dial(): Promise<Transport>;
}

export class HostileCard implements AsyncDisposable {
  readonly memory = new ArrayMemory(CARD_MEMORY);
  readonly host: Host;
  readonly events: HostEvent[] = [];
  readonly net = new MemoryNet();
  /** Doorbells that the host rang: number and value. */
  readonly doorbells: [number, number][] = [];
  /** The first disk answers when this has resolved. */
  gate: Promise<void> = Promise.resolve();
  /** The host's memory reads are refused. */
  refusesReads = false;
  readonly link: Link;
  readonly endpoint: Endpoint;
  readonly #devices: (BlockDevice | NetDevice)[];
  readonly #queues = new Map<string, RawQueue>();
  readonly #stop = new AbortController();
  readonly #booted = Promise.withResolvers<void>();
  #resetRequests: number[] = [0, 0, 0];

  private constructor(wire: HostileWire) {
    const disk = () => new MemoryBackend(new Uint8Array(128 * 512));
    this.#devices = [
      new BlockDevice({ backend: delay(disk(), () => this.gate) }),
      new BlockDevice({ backend: disk() }),
      new NetDevice(this.net),
    ];
    this.host = new Host({
      listener: wire.listener,
      cards: [{
        name: "mic0",
        devices: this.#devices,
        images: { kernel: { name: "diag", bytes: encodeDiagImage() }, cmdline: "" },
      }],
      onEvent: (event) => this.events.push(event),
    });
    const requester = new BusMaster();
    const endpoint = this.endpoint = new Endpoint({
      memoryBytes: CARD_MEMORY,
      identity: DEFAULT_IDENTITY,
      requester,
    });
    endpoint.listen({
      doorbell: (number, value) => this.doorbells.push([number, value]),
      boot: () => this.#booted.resolve(),
      adopt() {},
      reset() {},
    });
    endpoint.attach(this.memory);
    endpoint.registers.platform = PLATFORM.diag;
    endpoint.registers.setDownload(MIB);
    this.link = dialLink(
      () => wire.dial(),
      { role: "card", completer: this.#completer(), identity: new Uint8Array(16).fill(1) },
      this.#stop.signal,
    );
    requester.setRequester(this.link);
  }

  /** Resolves when the card was booted and says that it is online; no device is driven yet. */
  static async boot(wire?: HostileWire): Promise<HostileCard> {
    const listener = new MemoryListener();
    const card = new HostileCard(wire ?? { listener, dial: () => listener.dial() });
    await card.#booted.promise;
    card.report({ card_state: 3 });
    await turnsUntil(() => card.driver.state === "online", "the host believes the card online");
    return card;
  }

  get driver(): HostDriver {
    return this.host.cards.get("mic0")!.driver!;
  }
  /** Bus address of the host page. */
  get hostPage(): number {
    return this.endpoint.registers.hostPage!;
  }

  /** Posts `bytes` to a bus address. */
  write(address: number, bytes: Uint8Array): void {
    this.link.postWrite(address, bytes);
  }
  write16(address: number, value: number): void {
    this.write(address, Uint8Array.of(value & 255, value >> 8));
  }
  write32(address: number, value: number): void {
    this.write(address, new Uint8Array(Uint32Array.of(value).buffer));
  }
  msi(vector: number): void {
    this.link.message(MSI, vector);
  }

  /** Resolves when the host has applied all that was posted before. */
  async settled(): Promise<void> {
    const { link } = this;
    await link.ioRead(0, 1).catch((error) => {
      if (!(error instanceof UnsupportedRequest)) throw error;
    });
  }

  /** Writes the header of the host page, with its interrupt. */
  report(values: Partial<ReturnType<typeof page.HOST_HEADER.read>>): void {
    const bytes = new Uint8Array(page.HOST_HEADER.size);
    page.HOST_HEADER.write(viewOf(bytes), {
      magic: page.PAGE_MAGIC,
      version: page.PAGE_VERSION,
      reserved: 0,
      card_state: 0,
      shutdown_reason: 0,
      heartbeat: 0,
      text_length: 0,
      serial_piece: 0,
      serial_length: 0,
      serial_position: 0,
      serial_waiting: 0,
      ...values,
    });
    this.write(this.hostPage, bytes);
    this.msi(0);
  }

  /** Writes the slot's fields in the host page, with its interrupt. */
  tell(slot: number, values: Partial<ReturnType<typeof page.HOST_SLOT.read>>): void {
    const bytes = new Uint8Array(page.HOST_SLOT.size);
    page.HOST_SLOT.write(viewOf(bytes), {
      status: 0,
      reset_request: this.#resetRequests[slot]!,
      features_accepted: 0n,
      fault: 0,
      fault_queue: 0,
      adopted: 0,
      plug: 0,
      ...values,
    });
    this.write(this.hostPage + page.slotOffset(slot), bytes);
    this.msi(slot + 1);
  }

  /** Writes a queue's row in the host page; `values` are lies. */
  tellQueue(
    slot: number,
    queue: number,
    values: Partial<ReturnType<typeof page.HOST_QUEUE.read>> = {},
  ): void {
    const rings = 2 * MIB + 0x1_0000 * (4 * slot + queue);
    const offer = readCardSlot(this.endpoint.cardPage, slot)!.queues[queue]!;
    this.#queues.set(`${slot} ${queue}`, { offer, rings, index: 0, used: 0 });
    this.memory.bytes().fill(0, rings + 0x2000, rings + 0x2004);
    const bytes = new Uint8Array(page.HOST_QUEUE.size);
    page.HOST_QUEUE.write(viewOf(bytes), {
      size: SIZE,
      enabled: 1,
      used_index: 0,
      available_index: 0,
      descriptor_table: rings,
      available_ring: rings + 0x1000,
      used_ring: rings + 0x2000,
      ...values,
    });
    const at = page.QUEUES_OFFSET + queue * page.HOST_QUEUE.size;
    this.write(this.hostPage + page.slotOffset(slot) + at, bytes);
  }

  /** DRIVER_OK, with as many queues as the device needs. */
  start(slot: number): void {
    for (let queue = 0; queue < (slot === 2 ? 2 : 1); queue++) this.tellQueue(slot, queue);
    this.tell(slot, { status: DRIVER_OK, features_accepted: FEATURES });
  }

  /** Asks for a device reset; resolves when the host has done it. */
  async reset(slot: number): Promise<void> {
    this.#resetRequests[slot]!++;
    this.tell(slot, {});
    await turnsUntil(
      () => this.slot(slot).reset_done === this.#resetRequests[slot],
      "the device is reset",
    );
  }

  /** The slot of the card page, as the host wrote it. */
  slot(slot: number): ReturnType<typeof page.CARD_SLOT.read> {
    return page.CARD_SLOT.read(viewOf(this.endpoint.cardPage), page.slotOffset(slot));
  }

  queue(slot: number, queue = 0): RawQueue {
    return this.#queues.get(`${slot} ${queue}`)!;
  }

  /** Writes a record at `offset` of staging, its entry into the mirror ring, and the index; then MSI. */
  offer(slot: number, record: RawRecord, { queue = 0, offset = 0 } = {}): void {
    const raw = this.queue(slot, queue);
    this.write(raw.offer.stagingAddress + offset, encode(record));
    this.announce(slot, queue, offset);
  }

  /** The entry of the next record, and the index. */
  announce(slot: number, queue: number, offset: number): void {
    const raw = this.queue(slot, queue);
    const { mirrorAddress } = raw.offer;
    this.write32(mirrorAddress + 4 + 4 * (raw.index % SIZE), offset);
    raw.index = (raw.index + 1) % 65536;
    this.write16(mirrorAddress + 2, raw.index);
    this.msi(slot + 1);
  }

  /** A read of one sector on a disk that was started: what is used up, and how. */
  async read(slot: number): Promise<void> {
    const raw = this.queue(slot);
    const into = 3 * MIB + slot * 4096;
    this.memory.bytes().fill(0xee, into, into + 513);
    const data = header(0, 3);
    this.offer(slot, {
      head: raw.index % SIZE,
      writable: 1,
      readableLength: data.length,
      pushedLength: data.length,
      segments: [[into, 513]],
      data,
    });
    await this.used(slot);
    const answer = this.memory.bytes().subarray(into, into + 513);
    if (answer.some((byte) => byte !== 0)) throw new Error("The disk's sector was not read");
  }

  /** Resolves when the host has used as many chains of `queue` as were offered. */
  async used(slot: number, queue = 0): Promise<void> {
    const raw = this.queue(slot, queue);
    await turnsUntil(
      () => this.memory.view().getUint16(raw.rings + 0x2002, true) === raw.index,
      `queue ${queue} of slot ${slot} has used all chains`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.link.closed;
    await this.host[Symbol.asyncDispose]();
    for (const device of this.#devices) await device[Symbol.asyncDispose]();
  }

  #completer(): Completer {
    const { endpoint } = this;
    return {
      memoryWrite: (address, bytes) => endpoint.memoryWrite(address, bytes),
      memoryRead: (address, into) => {
        if (this.refusesReads) throw new UnsupportedRequest("Cannot read: not today");
        endpoint.memoryRead(address, into);
      },
      configRead: (register, width) => endpoint.configRead(register, width),
      configWrite: (register, width, value) => endpoint.configWrite(register, width, value),
      ioRead: (port, width) => endpoint.ioRead(port, width),
      ioWrite: (port, width, value) => endpoint.ioWrite(port, width, value),
      message: (code, a) => endpoint.message(code, a),
      batchEnd: () => endpoint.batchEnd(),
    };
  }
}

function encode(record: RawRecord): Uint8Array {
  const { segments = [], data = new Uint8Array(0) } = record;
  const bytes = new Uint8Array(16 + 16 * segments.length + data.length);
  const view = viewOf(bytes);
  view.setUint16(0, record.head ?? 0, true);
  view.setUint16(2, record.readable ?? 0, true);
  view.setUint16(4, record.writable ?? 0, true);
  view.setUint32(8, record.readableLength ?? 0, true);
  view.setUint32(12, record.pushedLength ?? 0, true);
  segments.forEach(([address, length], i) => {
    view.setBigUint64(16 + 16 * i, BigInt(address), true);
    view.setUint32(24 + 16 * i, length, true);
  });
  bytes.set(data, 16 + 16 * segments.length);
  return bytes;
}
