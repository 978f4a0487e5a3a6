import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import type { NetBackend, NetEvents, NetOffloads } from "../../host/backends/types.ts";
import { NetDevice } from "../../host/devices/net.ts";
import { DriverError } from "../../protocol/errors.ts";
import { viewOf } from "../../protocol/layout.ts";
import { FEATURE } from "../../protocol/virtio/net.ts";
import { type FakeChain, FakeSession, FakeSlot } from "../support/fake_queue.ts";

const RECEIVE = 0;
const TRANSMIT = 1;
const CONTROL = 2;

/** A wire: keeps what is sent, and offers what the test puts on it. */
class Wire implements NetBackend {
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

class Net implements AsyncDisposable {
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
function frame(length: number, { seed = 1, flags = 0, gso = 0 } = {}): Uint8Array {
  const bytes = Uint8Array.from({ length: 12 + length }, (_, i) => i + seed);
  bytes.fill(0, 0, 12);
  bytes[0] = flags;
  bytes[1] = gso;
  bytes[4] = gso === 0 ? 0 : 100;
  return bytes;
}

/** As the driver reads it: the buffers in order, with the count of them in the header. */
function merged(chains: readonly FakeChain[]): Uint8Array {
  return Uint8Array.from(chains.flatMap(({ memory, written }) => [...memory.subarray(0, written)]));
}

function withCount(bytes: Uint8Array, count: number): Uint8Array {
  const expected = bytes.slice();
  expected[10] = count & 0xff;
  expected[11] = count >> 8;
  return expected;
}

Deno.test("NetDevice.config() is the configuration space, byte by byte", () => {
  const device = new NetDevice(new Wire());
  assertEquals(device.config(), Uint8Array.of(2, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0xdc, 0x05));
});

Deno.test("NetDevice has the MTU that its backend began with, and refuses one that no device may have", () => {
  const make = (mtu: number) => {
    const wire = new Wire();
    wire.mtu = mtu;
    const device = new NetDevice(wire);
    wire.mtu = 1280;
    return viewOf(device.config()).getUint16(10, true);
  };
  assertEquals([68, 1500, 65_535].map(make), [68, 1500, 65_535]);
  for (const mtu of [67, 65_536, NaN]) assertThrows(() => make(mtu), RangeError, "its MTU is");
});

for (const mtu of [68, 1500, 65_535]) {
  Deno.test(`NetDevice sends a frame of an MTU of ${mtu} whole`, async () => {
    const wire = new Wire();
    wire.mtu = mtu;
    await using net = new Net({ wire });
    const whole = frame(mtu + 14);
    assertEquals(net.transmit(whole).written, 0);
    assertEquals(net.wire.sent, [whole]);
  });
}

Deno.test("NetDevice offers the offloads that its backend has", () => {
  const common = FEATURE.MAC | FEATURE.MTU | FEATURE.STATUS | FEATURE.MRG_RXBUF |
    FEATURE.CTRL_VQ | FEATURE.CTRL_RX | FEATURE.CTRL_MAC_ADDR;
  const features = (checksum: boolean, segmentation: boolean) =>
    new NetDevice(new Wire({ checksum, segmentation })).features;
  assertEquals(features(false, false), common);
  assertEquals(features(true, false), common | FEATURE.CSUM | FEATURE.GUEST_CSUM);
  assertEquals(features(true, true) & 0x7fffn, 0x1babn | FEATURE.HOST_ECN);
  // Segments need checksums (§5.1.3.1).
  assertEquals(features(false, true), common);
});

Deno.test("NetDevice tells the backend what the driver took of the offloads, and that it is gone", async () => {
  await using net = new Net();
  const all = net.session.features;
  await net.reset();
  net.restart(all & ~FEATURE.GUEST_TSO6);
  await net.reset();
  net.restart(all & ~FEATURE.GUEST_CSUM);
  assertEquals(net.wire.accepts, [
    { checksum: true, segmentation: true },
    { checksum: false, segmentation: false },
    { checksum: true, segmentation: false },
    { checksum: false, segmentation: false },
    { checksum: false, segmentation: false },
  ]);
});

Deno.test("NetDevice puts a frame into one buffer, and says so", async () => {
  await using net = new Net();
  const [first, second] = net.buffers(1526, 1526);
  net.wire.offer(frame(60));
  assertEquals(merged([first!]), withCount(frame(60), 1));
  assertEquals([first!.written, second!.written], [72, undefined]);
});

Deno.test("NetDevice publishes a batch of frames once", async () => {
  await using net = new Net();
  net.buffers(100, 100, 100);
  net.wire.offer(frame(60), frame(61), frame(62));
  assertEquals(net.session.queues[RECEIVE]!.publishes, 1);
  assertEquals(net.session.queues[RECEIVE]!.used.length, 3);
});

Deno.test("NetDevice merges buffers for a 64 KiB frame", async () => {
  await using net = new Net();
  const chains = net.buffers(...Array.from({ length: 50 }, () => 1536));
  const big = frame(65_000, { flags: 1, gso: 1 });
  net.wire.offer(big);
  // 65 012 bytes in buffers of 1536: 42 full ones and one of 500.
  const used = net.session.queues[RECEIVE]!.used;
  assertEquals(used.length, 43);
  assertEquals(merged(used), withCount(big, 43));
  assertEquals(used.at(-1)!.written, 500);
  net.wire.offer(frame(60));
  assertEquals(chains[43]!.written, 72);
});

Deno.test("NetDevice shows all buffers of a frame at once", async () => {
  await using net = new Net();
  net.buffers(30, 30, 30);
  const queue = net.session.queues[RECEIVE]!;
  net.wire.events.receive(frame(60));
  assertEquals([queue.publishes, queue.used.length], [0, 0]);
  net.wire.events.received();
  assertEquals([queue.publishes, queue.used.length], [1, 3]);
});

for (const piece of [1, 7, 11, 12, 13]) {
  Deno.test(`NetDevice counts buffers right when the outgoing batch is cut every ${piece} bytes`, async () => {
    await using net = new Net();
    net.session.queues[RECEIVE]!.piece = piece;
    const chains = net.buffers(12, 20, 100);
    net.wire.offer(frame(60));
    assertEquals(merged(chains), withCount(frame(60), 3));
  });
}

Deno.test("NetDevice keeps frames with the backend while there are no buffers, loses none and never freezes", async () => {
  await using net = new Net();
  net.wire.offer(frame(60, { seed: 1 }), frame(60, { seed: 2 }));
  assertEquals(net.wire.kept, 2);
  const [first] = net.buffers(100);
  assertEquals([net.wire.kept, first!.written], [1, 72]);
  const [second] = net.buffers(100);
  assertEquals([net.wire.kept, second!.written], [0, 72]);
  assertEquals(merged([second!]), withCount(frame(60, { seed: 2 }), 1));
  // With nothing kept, new buffers are no reason to wake the backend.
  const { resumes } = net.wire;
  net.buffers(100);
  assertEquals(net.wire.resumes, resumes);
});

Deno.test("NetDevice hears of receive buffers only while it lacks some", async () => {
  await using net = new Net();
  const queue = net.session.queues[RECEIVE]!;
  net.buffers(100, 100);
  net.wire.offer(frame(60));
  assertEquals(queue.wantsMsi, false);
  net.wire.offer(frame(60), frame(60));
  assertEquals([queue.wantsMsi, net.wire.kept], [true, 1]);
  net.buffers(100, 100);
  assertEquals([queue.wantsMsi, net.wire.kept], [false, 0]);
  // A link that is full is no lack of buffers.
  net.session.writable = false;
  net.wire.offer(frame(60));
  assertEquals([queue.wantsMsi, net.wire.kept], [false, 1]);
});

Deno.test("NetDevice keeps the buffers that were too few for a frame, and uses them with later ones", async () => {
  await using net = new Net();
  const early = net.buffers(1000, 1000);
  const big = frame(3000, { flags: 1, gso: 1 });
  net.wire.offer(big, frame(60));
  assertEquals([net.wire.kept, early[0]!.written], [2, undefined]);
  const late = net.buffers(1000, 1000, 1000);
  assertEquals(net.wire.kept, 0);
  assertEquals(merged([...early, ...late.slice(0, 2)]), withCount(big, 4));
  assertEquals(late[2]!.written, 72);
});

Deno.test("NetDevice publishes used buffers before it waits for more of them", async () => {
  await using net = new Net();
  const [chain] = net.buffers(100);
  net.wire.events.receive(frame(60));
  assertEquals(net.wire.events.receive(frame(60)), false);
  await chain!.used;
});

Deno.test("NetDevice drops, and counts, a frame for which all buffers of the queue are too small", async () => {
  await using net = new Net();
  net.buffers(...Array.from({ length: 1024 }, () => 12));
  net.wire.offer(frame(65_000, { flags: 1, gso: 1 }), frame(60));
  assertEquals(net.device.counters.dropped, 1);
  assertEquals(net.session.queues[RECEIVE]!.used.length, 6);
});

Deno.test("NetDevice without MRG_RXBUF fills one buffer, and drops what does not fit into it", async () => {
  await using net = new Net({ drop: FEATURE.MRG_RXBUF });
  const [first, second] = net.buffers(100, 2000);
  net.wire.offer(frame(1000), frame(60), frame(1000));
  assertEquals(net.device.counters.dropped, 1);
  assertEquals(merged([first!]), withCount(frame(60), 1));
  assertEquals(second!.written, 1012);
});

// The header in front of a frame of 60 bytes, and as the driver gets it (virtio 1.3 §5.1.6.4.1).
const { GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, GUEST_ECN } = FEATURE;
const HEADERS: readonly {
  readonly what: string;
  readonly header: readonly number[];
  readonly drop?: bigint;
  readonly flags?: number;
}[] = [
  { what: "nothing special", header: [0, 0], flags: 0 },
  { what: "a checksum that is left to the driver", header: [1, 0], flags: 1 },
  { what: "a checksum that the driver cannot make", header: [1, 0], drop: GUEST_CSUM },
  { what: "news of a good checksum", header: [2, 0], flags: 2 },
  { what: "news that the driver cannot read", header: [2, 0], drop: GUEST_CSUM, flags: 0 },
  { what: "flags of features that nobody offers", header: [0xfc, 0], flags: 0 },
  { what: "a TCP segment of IPv4", header: [1, 1], flags: 1 },
  { what: "a TCP segment of IPv6 with ECN", header: [1, 0x84], flags: 1 },
  { what: "IPv4 segments not negotiated", header: [1, 1], drop: GUEST_TSO4 },
  { what: "IPv6 segments not negotiated", header: [1, 4], drop: GUEST_TSO6 },
  { what: "ECN not negotiated", header: [1, 0x84], drop: GUEST_ECN },
  { what: "IPv4 segments, only those of IPv6 not", header: [1, 1], drop: GUEST_TSO6, flags: 1 },
  { what: "a UDP fragment", header: [1, 3] },
  { what: "a UDP segment", header: [1, 5] },
  { what: "a segment whose checksum is there", header: [2, 1] },
  { what: "a segment without a size", header: [1, 1, 0, 0, 0, 0] },
];
for (const { what, header, drop = 0n, flags } of HEADERS) {
  Deno.test(`NetDevice ${flags === undefined ? "drops" : "delivers"} a frame with ${what}`, async () => {
    await using net = new Net({ drop });
    const [chain] = net.buffers(100);
    const gso = header[1]!;
    const sent = frame(60, { gso });
    sent.set(header);
    net.wire.offer(sent.slice());
    assertEquals(net.device.counters.dropped, flags === undefined ? 1 : 0);
    if (flags === undefined) assertEquals(chain!.written, undefined);
    else assertEquals(merged([chain!]), withCount(frame(60, { flags, gso }), 1));
  });
}

for (
  const { what, length, given, drop = 0n, type = [8, 0], segment = false } of [
    { what: "of the MTU", length: 1514, given: true },
    { what: "a byte longer than the MTU", length: 1515, given: false },
    { what: "of the MTU with a VLAN tag", length: 1518, given: true, type: [0x81, 0] },
    { what: "of the MTU with a service VLAN tag", length: 1518, given: true, type: [0x88, 0xa8] },
    { what: "longer with a VLAN tag", length: 1519, given: false, type: [0x81, 0] },
    { what: "of 1518 bytes without a tag", length: 1518, given: false },
    { what: "longer than an MTU that is not negotiated", length: 1515, given: true, drop: 8n },
    { what: "longer than the MTU, as a segment", length: 1515, given: true, segment: true },
  ]
) {
  Deno.test(`NetDevice ${given ? "delivers" : "drops"} a frame ${what}`, async () => {
    await using net = new Net({ drop });
    const [chain] = net.buffers(2000);
    const sent = frame(length, segment ? { flags: 1, gso: 1 } : {});
    sent.set(type, 24);
    net.wire.offer(sent);
    assertEquals([chain!.written, net.device.counters.dropped], [
      given ? length + 12 : undefined,
      given ? 0 : 1,
    ]);
  });
}

Deno.test("NetDevice waits with frames while the link is full", async () => {
  await using net = new Net();
  const chains = net.buffers(100, 100);
  net.session.writable = false;
  net.wire.offer(frame(60), frame(60));
  net.buffers(100);
  assertEquals([net.wire.kept, chains[0]!.written], [2, undefined]);
  net.session.writable = true;
  assertEquals([net.wire.kept, chains[1]!.written], [0, 72]);
});

Deno.test("NetDevice fails on a receive buffer that holds no header", async () => {
  await using net = new Net();
  net.buffers(11);
  net.wire.offer(frame(60));
  // Not while the backend is delivering: failing a device makes calls to its backend.
  assertEquals(net.session.failure, undefined);
  await Promise.resolve();
  assertInstanceOf(net.session.failure, DriverError);
  assertEquals(net.session.failure.fault, "request");
  assertEquals(net.wire.kept, 0);
});

Deno.test("NetDevice takes frames and drops them while no driver runs", async () => {
  await using net = new Net();
  net.wire.offer(frame(60));
  assertEquals(net.wire.kept, 1);
  await net.reset();
  assertEquals(net.wire.kept, 0);
  net.wire.offer(frame(60));
  net.wire.events.writable();
  assertEquals([net.wire.kept, net.device.counters.dropped], [0, 0]);
});

Deno.test("NetDevice sends frames in order, header first, and gives the chains back in one batch", async () => {
  await using net = new Net();
  const queue = net.session.queues[TRANSMIT]!;
  queue.add({ readable: frame(60, { seed: 1 }) });
  queue.add({ readable: frame(1514, { seed: 2 }) });
  net.device.notified(TRANSMIT);
  assertEquals(net.wire.sent, [frame(60, { seed: 1 }), frame(1514, { seed: 2 })]);
  assertEquals([queue.used.length, queue.publishes, queue.used[0]!.written], [2, 1, 0]);
});

Deno.test("NetDevice stops while the backend is full, and goes on with the same frame", async () => {
  await using net = new Net();
  net.wire.full = true;
  const chain = net.transmit(frame(60, { seed: 1 }));
  net.transmit(frame(60, { seed: 2 }));
  assertEquals([net.wire.sent.length, chain.written], [0, undefined]);
  net.wire.full = false;
  net.wire.events.writable();
  assertEquals(net.wire.sent, [frame(60, { seed: 1 }), frame(60, { seed: 2 })]);
});

Deno.test("NetDevice fetches a frame that was not pushed whole, without letting a later one pass", async () => {
  await using net = new Net();
  const gate = Promise.withResolvers<void>();
  net.session.queues[TRANSMIT]!.fetchGate = gate.promise;
  net.transmit(frame(1514, { seed: 1 }), 100);
  const second = net.transmit(frame(60, { seed: 2 }));
  net.wire.events.writable();
  assertEquals(net.wire.sent, []);
  gate.resolve();
  await second.used;
  assertEquals(net.wire.sent, [frame(1514, { seed: 1 }), frame(60, { seed: 2 })]);
  assertEquals(net.session.queues[TRANSMIT]!.fetches, 1);
});

Deno.test("NetDevice keeps a fetched frame while the backend is full", async () => {
  await using net = new Net();
  net.wire.full = true;
  const chain = net.transmit(frame(1514), 100);
  await new Promise((resolve) => setTimeout(resolve));
  net.wire.full = false;
  net.wire.events.writable();
  await chain.used;
  assertEquals([net.wire.sent.length, net.session.queues[TRANSMIT]!.fetches], [1, 1]);
});

Deno.test("NetDevice gives a frame with a lying header back unsent, and counts it", async () => {
  await using net = new Net();
  const bad = [frame(60, { gso: 3 }), new Uint8Array(0), new Uint8Array(11), frame(65_550)];
  const chains = bad.map((bytes) => net.transmit(bytes));
  net.transmit(frame(70_000), 16);
  const good = net.transmit(frame(60));
  await good.used;
  assertEquals(chains.map(({ written }) => written), [0, 0, 0, 0]);
  assertEquals([net.wire.sent, net.device.counters.refused], [[frame(60)], 5]);
});

Deno.test("NetDevice.stop() leaves a held frame and a fetch alone", async () => {
  await using net = new Net();
  const gate = Promise.withResolvers<void>();
  net.session.queues[TRANSMIT]!.fetchGate = gate.promise;
  net.transmit(frame(1514), 100);
  await net.reset();
  gate.resolve();
  await new Promise((resolve) => setTimeout(resolve));
  net.wire.events.writable();
  assertEquals([net.wire.sent, net.session.failure], [[], undefined]);
});

Deno.test("NetDevice reports a change of the carrier once", async () => {
  await using net = new Net();
  net.wire.events.link(true);
  net.wire.events.link(false);
  net.wire.events.link(false);
  assertEquals([net.device.config()[6], net.slot.changes], [0, 1]);
  net.wire.events.link(true);
  assertEquals([net.device.config()[6], net.slot.changes], [1, 2]);
});

// class, command, data; virtio 1.3 §5.1.6.5. Acknowledged with 0, refused with 1.
const COMMANDS = [
  { ack: 0, when: "promiscuous on", bytes: [0, 0, 1] },
  { ack: 0, when: "all multicast off", bytes: [0, 1, 0] },
  { ack: 1, when: "promiscuous without a value", bytes: [0, 0] },
  { ack: 1, when: "RX_EXTRA, which is not offered", bytes: [0, 2, 1] },
  { ack: 0, when: "empty MAC tables", bytes: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0] },
  {
    ack: 0,
    when: "one multicast address",
    bytes: [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6],
  },
  { ack: 1, when: "MAC tables cut short", bytes: [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3] },
  { ack: 1, when: "a table of four milliards", bytes: [1, 0, 255, 255, 255, 255, 0, 0, 0, 0] },
  { ack: 1, when: "only one table", bytes: [1, 0, 0, 0, 0, 0] },
  { ack: 1, when: "a group address as own", bytes: [1, 1, 3, 0, 0, 0, 0, 9] },
  { ack: 1, when: "an address of five bytes", bytes: [1, 1, 2, 0, 0, 0, 0] },
  { ack: 1, when: "an unknown class", bytes: [4, 0, 1, 0] },
] as const;
for (const { ack, when, bytes } of COMMANDS) {
  Deno.test(`NetDevice answers ${ack} to ${when}`, async () => {
    await using net = new Net();
    assertEquals(await net.command(...bytes), ack);
    assertEquals([net.slot.changes, net.session.failure], [0, undefined]);
  });
}

Deno.test("NetDevice takes another MAC address until reset", async () => {
  await using net = new Net();
  assertEquals(await net.command(1, 1, 2, 0, 0, 0, 0, 9), 0);
  assertEquals([net.device.config()[5], net.slot.changes], [9, 1]);
  await net.reset();
  assertEquals([net.device.config()[5], net.slot.changes], [1, 2]);
});

Deno.test("NetDevice refuses a control command that is too long, and fails on one without room for an answer", async () => {
  await using net = new Net();
  const queue = net.session.queues[CONTROL]!;
  const long = queue.add({ readable: new Uint8Array(9000), pushed: 4096, writable: 1 });
  net.device.notified(CONTROL);
  await long.used;
  assertEquals(long.memory[0], 1);
  queue.add({ readable: Uint8Array.of(0, 0, 1) });
  net.device.notified(CONTROL);
  assertInstanceOf(net.session.failure, DriverError);
});

Deno.test("NetDevice fails without its queues, and closes its backend", async () => {
  const wire = new Wire();
  {
    await using device = new NetDevice(wire);
    device.attached(new FakeSlot());
    const session = new FakeSession([64], device.features);
    device.start(session);
    assertInstanceOf(session.failure, DriverError);
    for (const queue of [0, 1, 2, 7]) device.notified(queue);
  }
  assertEquals(wire.closed, 1);
});

Deno.test("NetDevice whose cable is pulled drops frames both ways, and tells the driver", async () => {
  await using net = new Net();
  const { device, slot, wire } = net;
  const buffers = net.buffers(2000, 2000);
  device.setCable(false);
  assertEquals([device.carrier, device.config()[6], slot.changes], [false, 0, 1]);
  wire.offer(frame(60));
  await net.transmit(frame(60)).used;
  assertEquals([wire.sent.length, wire.kept, buffers[0]!.written], [0, 0, undefined]);
  assertEquals(device.counters.dropped, 2);
  // What is behind it changes nothing that the driver could see.
  wire.events.link(false);
  device.setCable(false);
  assertEquals(slot.changes, 1);
  device.setCable(true);
  assertEquals([device.carrier, slot.changes], [false, 1]);
  wire.events.link(true);
  assertEquals([device.carrier, device.config()[6], slot.changes], [true, 1, 2]);
  wire.offer(frame(60));
  await net.transmit(frame(60)).used;
  assertEquals([wire.sent.length, buffers[0]!.written], [1, 72]);
});

Deno.test("NetDevice whose cable is pulled lets no frame wait", async () => {
  await using net = new Net();
  net.wire.full = true;
  const waiting = net.transmit(frame(60));
  net.wire.offer(frame(60));
  assertEquals([waiting.written, net.wire.kept], [undefined, 1]);
  net.device.setCable(false);
  await waiting.used;
  assertEquals([net.wire.kept, net.wire.sent.length, net.device.counters.dropped], [0, 0, 2]);
});

Deno.test("NetDevice counts frames both ways and their bytes, over resets too", async () => {
  await using net = new Net();
  net.buffers(2000, 2000);
  net.wire.offer(frame(60), frame(1000));
  await net.transmit(frame(100)).used;
  await net.device.stop();
  assertEquals(net.device.counters, {
    sent: 1,
    sentBytes: 100,
    received: 2,
    receivedBytes: 1060,
    dropped: 0,
    refused: 0,
  });
});
