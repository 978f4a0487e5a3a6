// What a network device offers and tells, and what becomes of it: configuration, cable, counters.
import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { NetDevice } from "../../host/devices/net.ts";
import { DriverError } from "../../protocol/errors.ts";
import { viewOf } from "../../protocol/layout.ts";
import { FEATURE } from "../../protocol/virtio/net.ts";
import { FakeSession, FakeSlot } from "../support/fake_queue.ts";
import { frame, Net, Wire } from "../support/net_device_rig.ts";

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

Deno.test("NetDevice reports a change of the carrier once", async () => {
  await using net = new Net();
  net.wire.events.link(true);
  net.wire.events.link(false);
  net.wire.events.link(false);
  assertEquals([net.device.config()[6], net.slot.changes], [0, 1]);
  net.wire.events.link(true);
  assertEquals([net.device.config()[6], net.slot.changes], [1, 2]);
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
