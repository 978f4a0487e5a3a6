/**
 * A network device between a wire that the test holds and a driver that it is, for the tests of each of its queues.
 *
 * @module
 */
import type { NetBackend, NetEvents, NetOffloads } from "../../host/backends/types.ts";
import { NetDevice } from "../../host/devices/net.ts";
import { type FakeChain, FakeSession, FakeSlot } from "./fake_queue.ts";

export const RECEIVE = 0;
export const TRANSMIT = 1;
export const CONTROL = 2;

/** A wire: keeps what is sent, and offers what the test puts on it. */
export class Wire implements NetBackend {
  readonly name = "wire";
  readonly mac: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 1);
  mtu = 1500;
  readonly offloads: NetOffloads;
  readonly sent: Uint8Array[] = [];
  readonly accepts: NetOffloads[] = [];
  events!: NetEvents;
  full = false;
  closed = 0;
  resumes = 0;
  #kept: Uint8Array[] = [];

  constructor(offloads: Partial<NetOffloads> = {}) {
    this.offloads = { checksum: true, segmentation: true, ...offloads };
  }
  send(frame: Uint8Array): boolean {
    if (!this.full) this.sent.push(frame.slice());
    return !this.full;
  }
  open(events: NetEvents): void {
    this.events = events;
  }
  accepted(offloads: NetOffloads): void {
    this.accepts.push(offloads);
  }
  resume(): void {
    this.resumes++;
    this.offer();
  }
  /** Frames arrive; those that the device does not take are kept in order. */
  offer(...frames: Uint8Array[]): void {
    this.#kept.push(...frames);
    while (this.#kept.length > 0 && this.events.receive(this.#kept[0]!)) this.#kept.shift();
    this.events.received();
  }
  get kept(): number {
    return this.#kept.length;
  }
  [Symbol.asyncDispose](): Promise<void> {
    this.closed++;
    return Promise.resolve();
  }
}

export class Net implements AsyncDisposable {
  readonly wire: Wire;
  readonly device: NetDevice;
  readonly slot = new FakeSlot();
  session: FakeSession;
  constructor(
    { drop = 0n, wire = new Wire() }: { drop?: bigint; wire?: Wire } = {},
  ) {
    this.wire = wire;
    this.device = new NetDevice(this.wire);
    this.device.attached(this.slot);
    this.session = this.#begin(this.device.features & ~drop);
  }
  /** Makes receive buffers of these sizes available. */
  buffers(...sizes: number[]): FakeChain[] {
    const chains = sizes.map((writable) => this.session.queues[RECEIVE]!.add({ writable }));
    this.device.notified(RECEIVE);
    return chains;
  }
  transmit(frame: Uint8Array, pushed = frame.length): FakeChain {
    const chain = this.session.queues[TRANSMIT]!.add({ readable: frame, pushed });
    this.device.notified(TRANSMIT);
    return chain;
  }
  /** Sends a control command; resolves to its acknowledgement. */
  async command(...bytes: number[]): Promise<number> {
    const readable = Uint8Array.from(bytes);
    const chain = this.session.queues[CONTROL]!.add({ readable, writable: 1 });
    this.device.notified(CONTROL);
    await chain.used;
    return chain.memory[0]!;
  }
  async reset(): Promise<void> {
    this.session.abort();
    await this.device.stop();
    this.session.close();
  }
  restart(features: bigint): void {
    this.session = this.#begin(features);
  }
  #begin(features: bigint): FakeSession {
    const session = new FakeSession(this.device.queueSizes, features);
    this.device.start(session);
    return session;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.reset();
    await this.device[Symbol.asyncDispose]();
  }
}

/** Header and frame; byte i of the frame is i + seed. */
export function frame(length: number, { seed = 1, flags = 0, gso = 0 } = {}): Uint8Array {
  const bytes = Uint8Array.from({ length: 12 + length }, (_, i) => i + seed);
  bytes.fill(0, 0, 12);
  bytes[0] = flags;
  bytes[1] = gso;
  bytes[4] = gso === 0 ? 0 : 100;
  return bytes;
}

/** As the driver reads it: the buffers in order, with the count of them in the header. */
export function merged(chains: readonly FakeChain[]): Uint8Array {
  return Uint8Array.from(chains.flatMap(({ memory, written }) => [...memory.subarray(0, written)]));
}

export function withCount(bytes: Uint8Array, count: number): Uint8Array {
  const expected = bytes.slice();
  expected[10] = count & 0xff;
  expected[11] = count >> 8;
  return expected;
}
