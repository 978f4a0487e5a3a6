// Frames of the driver on their way to the network.
import { assertEquals } from "@std/assert";
import { frame, Net, TRANSMIT } from "../support/net_device_rig.ts";

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
