// Commands of the driver on the control queue.
import { assertEquals, assertInstanceOf } from "@std/assert";
import { DriverError } from "../../protocol/errors.ts";
import { CONTROL, Net } from "../support/net_device_rig.ts";

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
