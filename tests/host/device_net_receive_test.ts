// Frames from the network into the buffers of the driver.
import { assertEquals, assertInstanceOf } from "@std/assert";
import { DriverError } from "../../protocol/errors.ts";
import { FEATURE } from "../../protocol/virtio/net.ts";
import { frame, merged, Net, RECEIVE, withCount } from "../support/net_device_rig.ts";

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
