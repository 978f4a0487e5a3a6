import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { BootRefused } from "../../card/machine/types.ts";
import {
  DEVICE_STATUS,
  DOORBELL,
  DRIVER_FAULT,
  MESSAGE,
  page,
  viewOf,
} from "../../protocol/mod.ts";
import {
  ALL_OK,
  BAR,
  CONFIG,
  HOST_PAGE,
  ISR,
  MIRROR,
  NOTIFY,
  OFFERED,
  Rig,
  SLOT,
  STAGING,
} from "../support/card_driver_rig.ts";

Deno.test("CardDriver plugs a function for each slot that is not empty", () => {
  const rig = new Rig().start();
  assertEquals([rig.driver.deviceCount, rig.machine.functions.length], [1, 1]);
  const config = viewOf(rig.bar.pciConfig);
  assertEquals([config.getUint16(0, true), config.getUint16(2, true)], [0x1af4, 0x1042]);
  assertEquals(rig.bar.read(CONFIG, 4), 0x0403_0201);
});

Deno.test("CardDriver throws BootRefused for a slot that contradicts itself", () => {
  const queue = page.slotOffset(SLOT) + page.QUEUES_OFFSET + page.CARD_QUEUE.size;
  const at = page.CARD_QUEUE.at;
  const spoils: readonly [string, (rig: Rig) => void][] = [
    ["65 queues", (rig) => rig.writeSlot({ queue_count: 65 })],
    ["257 bytes", (rig) => rig.writeSlot({ config_length: 257 })],
    ["size 24", (rig) => rig.cardPage[queue + at.size_max] = 24],
    ["size 2064", (rig) => rig.cardPage[queue + at.size_max + 1] = 8],
    ["staging 16 bytes", (rig) => rig.cardPage.set([16, 0], queue + at.staging_length)],
    ["staging 4096", (rig) => rig.cardPage[queue + at.staging_address + 7] = 1],
    [
      "mirror at 0xfffffffffffc0",
      (rig) => rig.cardPage.set([0xc0, ...Array(5).fill(0xff), 0x0f], queue + at.mirror_address),
    ],
    ["virtio type 64", (rig) => rig.writeSlot({ type: 64 })],
    ["mirror at 0xInfinity", (rig) => rig.cardPage[queue + at.mirror_address + 7] = 1],
  ];
  for (const [text, spoil] of spoils) {
    const rig = new Rig();
    spoil(rig);
    assertStringIncludes(assertThrows(() => rig.start(), BootRefused).message, text);
  }
});

Deno.test("a queue of size 0 does not exist for the driver", () => {
  const rig = new Rig();
  rig.cardPage[page.slotOffset(SLOT) + page.QUEUES_OFFSET] = 0;
  rig.start();
  rig.bar.write(BAR.select, 2, 0);
  assertEquals(rig.bar.read(BAR.size, 2), 0);
});

Deno.test("DRIVER_OK publishes status, features and rings with the slot's vector", () => {
  const rig = new Rig().start();
  rig.driverOk();
  const { status, features_accepted, queues } = rig.hostSlot;
  assertEquals([status, features_accepted], [15, 1n << 32n]);
  assertEquals(queues[0], {
    size: 8,
    enabled: 1,
    used_index: 0,
    available_index: 0,
    descriptor_table: 0x1000,
    available_ring: 0x2000,
    used_ring: 0x3000,
  });
  assertEquals(queues[1]!.enabled, 0);
  assertEquals(new Set(rig.interrupts), new Set([0, SLOT + 1]));
  assertEquals(rig.lives, 1);
});

Deno.test("a queue row is posted before the status that says it is there", () => {
  const rig = new Rig().start();
  rig.driverOk();
  const at = HOST_PAGE + page.slotOffset(SLOT);
  const writes = rig.link.posted.flatMap((p) => "write" in p ? [p.write] : []);
  assert(writes.indexOf(at + page.QUEUES_OFFSET) < writes.lastIndexOf(at));
});

Deno.test("a mirror begins before the host is told of DRIVER_OK", () => {
  const rig = new Rig().start();
  rig.negotiate();
  rig.setUp();
  rig.link.forget();
  rig.bar.write(BAR.status, 1, ALL_OK);
  const writes = rig.link.posted.flatMap((p) => "write" in p ? [p.write] : []);
  const index = writes.indexOf(MIRROR + 2);
  assert(index >= 0 && index < writes.indexOf(HOST_PAGE + page.slotOffset(SLOT)));
});

Deno.test("a chain made available before DRIVER_OK is mirrored at DRIVER_OK", () => {
  const rig = new Rig().start();
  rig.negotiate();
  const ring = rig.setUp();
  ring.add([{ address: 0x8000, length: 4 }], []);
  assertEquals(rig.mirrored, []);
  rig.bar.write(BAR.status, 1, ALL_OK);
  assert(rig.mirrored.includes(STAGING));
});

Deno.test("a notification mirrors the chain, and the doorbell brings the interrupt back", () => {
  const rig = new Rig().start();
  const ring = rig.driverOk();
  const head = ring.add([{ address: 0x8000, length: 4 }], []);
  rig.bar.write(NOTIFY, 2, 0);
  assert(rig.mirrored.includes(STAGING));
  assertEquals(rig.machine.lines[0], false);
  rig.use(ring, head);
  assertEquals(rig.machine.lines[0], true);
  assertEquals(rig.bar.read(ISR, 1), 1);
  assertEquals(rig.machine.lines[0], false);
  rig.ring(0);
  assertEquals(rig.machine.lines[0], false);
});

Deno.test("the doorbell raises no interrupt that the driver does not want", () => {
  const rig = new Rig().start();
  const ring = rig.driverOk();
  ring.wantInterrupt(false);
  const head = ring.add([{ address: 0x8000, length: 4 }], []);
  rig.bar.write(NOTIFY, 2, 0);
  rig.use(ring, head);
  assertEquals(rig.machine.lines[0], false);
});

Deno.test("doorbell values that are no queue of the device mean nothing", () => {
  const rig = new Rig().start();
  rig.driverOk();
  for (const value of [1, 2, 63, 0xfffe, 0xffff_ffff]) rig.ring(value);
  rig.driver.doorbell(SLOT + 1, 0);
  assertEquals(rig.machine.lines[0], false);
});

Deno.test("a new configuration generation raises a configuration interrupt, once", () => {
  const rig = new Rig().start();
  rig.driverOk();
  rig.cardPage[page.slotOffset(SLOT) + page.DEVICE_CONFIG_OFFSET] = 9;
  rig.writeSlot({ config_generation: 7 });
  rig.ring(DOORBELL.config_changed);
  assertEquals(rig.bar.read(ISR, 1), 2);
  assertEquals([rig.bar.read(CONFIG, 1), rig.bar.read(0x15, 1)], [9, 1]);
  rig.ring(DOORBELL.config_changed);
  assertEquals(rig.bar.read(ISR, 1), 0);
});

Deno.test("a reset is asked of the host, and done when the host says so", () => {
  const rig = new Rig();
  rig.writeSlot({ reset_done: 41 });
  rig.start();
  const ring = rig.driverOk();
  rig.bar.write(BAR.status, 1, 0);
  assertEquals([rig.hostSlot.reset_request, rig.hostSlot.status], [42, 0]);
  assertEquals([rig.hostSlot.features_accepted, rig.hostSlot.queues[0]!.enabled], [0n, 0]);
  assertEquals(rig.bar.read(BAR.status, 1), 15);
  rig.ring(DOORBELL.config_changed);
  assertEquals(rig.bar.read(BAR.status, 1), 15);
  // The old rings are nobody's now.
  ring.add([{ address: 0x8000, length: 4 }], []);
  rig.link.forget();
  rig.ring(0);
  assertEquals(rig.mirrored, []);
  rig.writeSlot({ reset_done: 42 });
  rig.ring(DOORBELL.config_changed);
  assertEquals(rig.bar.read(BAR.status, 1), 0);
  rig.driverOk();
  assertEquals(rig.hostSlot.status, 15);
});

Deno.test("needs_reset of the host shows as DEVICE_NEEDS_RESET, until the reset is done", () => {
  const rig = new Rig().start();
  const ring = rig.driverOk();
  rig.writeSlot({ needs_reset: DRIVER_FAULT.request });
  rig.ring(DOORBELL.config_changed);
  assert(rig.bar.read(BAR.status, 1) & DEVICE_STATUS.DEVICE_NEEDS_RESET);
  assertEquals(rig.bar.read(ISR, 1), 2);
  rig.link.forget();
  ring.add([{ address: 0x8000, length: 4 }], []);
  rig.bar.write(NOTIFY, 2, 0);
  assertEquals(rig.mirrored, []);
  rig.bar.write(BAR.status, 1, 0);
  rig.writeSlot({ needs_reset: 0, reset_done: 1 });
  rig.ring(DOORBELL.config_changed);
  assertEquals(rig.bar.read(BAR.status, 1), 0);
});

Deno.test("a malformed chain breaks the device: fault to the host, DEVICE_NEEDS_RESET to the driver", () => {
  const rig = new Rig().start();
  const ring = rig.driverOk();
  ring.offer(8);
  rig.bar.write(NOTIFY, 2, 0);
  assertEquals(rig.hostSlot.fault, DRIVER_FAULT["chain-index"]);
  assertEquals(rig.hostSlot.fault_queue, 0);
  assert(rig.bar.read(BAR.status, 1) & DEVICE_STATUS.DEVICE_NEEDS_RESET);
  rig.bar.write(BAR.status, 1, 0);
  assertEquals(rig.hostSlot.fault, DRIVER_FAULT.none);
});

Deno.test("a refused feature set is told to the host", () => {
  const rig = new Rig().start();
  rig.bar.write(BAR.status, 1, 3);
  rig.bar.write(BAR.status, 1, 11);
  assertEquals(rig.hostSlot.fault, DRIVER_FAULT.features);
});

Deno.test("a write to device configuration space is a message with slot, width and offset", () => {
  const rig = new Rig().start();
  rig.bar.write(CONFIG + 2, 2, 0xbeef);
  assertEquals(rig.link.messages(MESSAGE.device_config_write), [[0x0002_0203, 0xbeef]]);
});

Deno.test("device configuration writes wait for the link, all of them, in order", () => {
  const rig = new Rig().start();
  rig.link.writable = false;
  for (const value of [0x4f, 0x6f, 0x70, 0x73]) rig.bar.write(CONFIG, 4, value);
  rig.bar.write(CONFIG, 1, 7);
  assertEquals(rig.link.posted, []);
  rig.link.writable = true;
  rig.bar.write(CONFIG, 1, 8);
  assertEquals(rig.link.messages(MESSAGE.device_config_write), [
    [0x403, 0x4f],
    [0x403, 0x6f],
    [0x403, 0x70],
    [0x403, 0x73],
    [0x103, 7],
    [0x103, 8],
  ]);
});

Deno.test("of device configuration writes without end the first wait, and the last of each field", () => {
  const rig = new Rig().start();
  rig.link.writable = false;
  rig.bar.write(CONFIG, 1, 1);
  for (let value = 0; value < 5000; value++) rig.bar.write(CONFIG + 1, 1, value & 0xff);
  rig.bar.write(CONFIG, 1, 2);
  rig.bar.write(CONFIG + 2, 1, 3);
  rig.link.writable = true;
  const writes = rig.link.messages(MESSAGE.device_config_write);
  assertEquals(writes.length, 4096);
  assertEquals(writes.slice(0, 3), [[0x103, 2], [0x1_0103, 0], [0x1_0103, 1]]);
  assertEquals(writes.at(-1), [0x1_0103, 4999 & 0xff]);
});

Deno.test("device configuration writes that wait outlive the card OS that made them", () => {
  const rig = new Rig().start();
  rig.link.writable = false;
  rig.bar.write(CONFIG, 4, 0x21);
  rig.driver.close();
  rig.link.writable = true;
  assertEquals(rig.link.messages(MESSAGE.device_config_write), [[0x403, 0x21]]);
});

/** CONFIG_WCE and FLUSH of a disk. */
const WCE = 1 << 11 | 1 << 9;
for (
  const { when, features, live, offset, width, reads } of [
    { when: "it was negotiated", features: WCE, live: true, offset: 32, width: 1, reads: 0 },
    { when: "it was not negotiated", features: 0, live: true, offset: 32, width: 1, reads: 1 },
    { when: "of no live device", features: WCE, live: false, offset: 32, width: 1, reads: 1 },
    { when: "of another width", features: WCE, live: true, offset: 32, width: 2, reads: 1 },
  ] as const
) {
  Deno.test(`writeback reads back as ${reads} at once, for a write of 0, when ${when}`, () => {
    const rig = new Rig();
    rig.writeSlot({ config_length: 60, features_offered: OFFERED | BigInt(WCE) });
    const config = page.slotOffset(SLOT) + page.DEVICE_CONFIG_OFFSET;
    rig.cardPage[config + 32] = 1;
    rig.start();
    rig.negotiate(features);
    if (live) {
      rig.setUp();
      rig.bar.write(BAR.status, 1, ALL_OK);
    }
    rig.bar.write(CONFIG + offset, width, 0);
    rig.bar.write(CONFIG, 1, 0);
    assertEquals(rig.bar.read(CONFIG + 32, 1), reads);
    assertEquals(rig.bar.read(CONFIG, 1), 1, "capacity is the host's");
  });
}

Deno.test("writeback begins as 0 for a driver that may set it and cannot flush, until the reset", () => {
  const rig = new Rig();
  rig.writeSlot({ config_length: 36, features_offered: OFFERED | BigInt(WCE) });
  rig.cardPage[page.slotOffset(SLOT) + page.DEVICE_CONFIG_OFFSET + 32] = 1;
  rig.start();
  const read = () => [rig.bar.read(CONFIG + 32, 1), rig.bar.read(0x15, 1)];
  assertEquals(read(), [1, 0]);
  rig.negotiate(WCE);
  assertEquals(read(), [1, 0], "a driver that can flush");
  rig.bar.write(BAR.status, 1, 0);
  rig.writeSlot({ reset_done: 1 });
  rig.ring(DOORBELL.config_changed);
  rig.negotiate(1 << 11);
  assertEquals(read(), [0, 1], "at once, and with another generation");
  // A new capacity: the host does not know of this driver before DRIVER_OK.
  rig.cardPage[page.slotOffset(SLOT) + page.DEVICE_CONFIG_OFFSET] = 5;
  rig.writeSlot({ reset_done: 1, config_generation: 1 });
  rig.ring(DOORBELL.config_changed);
  assertEquals([rig.bar.read(CONFIG, 1), ...read()], [5, 0, 2]);
  rig.bar.write(BAR.status, 1, 0);
  rig.writeSlot({ reset_done: 2 });
  rig.ring(DOORBELL.config_changed);
  assertEquals(read(), [1, 3], "the next driver finds what the host offers");
});

Deno.test("what the driver writes changes the generation, if it changes what is read", () => {
  const rig = new Rig();
  rig.writeSlot({ config_length: 36, features_offered: OFFERED | BigInt(WCE) });
  rig.cardPage[page.slotOffset(SLOT) + page.DEVICE_CONFIG_OFFSET + 32] = 1;
  rig.start();
  rig.negotiate(WCE);
  rig.setUp();
  rig.bar.write(BAR.status, 1, ALL_OK);
  rig.bar.write(CONFIG + 32, 1, 1);
  assertEquals(rig.bar.read(0x15, 1), 0);
  rig.bar.write(CONFIG + 32, 1, 0);
  assertEquals(rig.bar.read(0x15, 1), 1);
});

Deno.test("a transport feature that the card does not know is not offered on", () => {
  const rig = new Rig();
  rig.writeSlot({ features_offered: OFFERED | 0x3_ffff_ff00_0000n | 1n << 63n | 1n << 50n });
  rig.start();
  const words = [0, 1].map((select) => {
    rig.bar.write(0, 4, select);
    return rig.bar.read(4, 4) >>> 0;
  });
  assertEquals(words, [0x3000_0020, 0x8004_0001]);
});

Deno.test("status changes wait for the link, and leave as the last of them", () => {
  const rig = new Rig().start();
  rig.link.forget();
  rig.link.writable = false;
  rig.negotiate();
  assertEquals(rig.link.posted, []);
  rig.link.writable = true;
  assertEquals(rig.hostSlot.status, 11);
  assertEquals(rig.interrupts, [0, SLOT + 1]);
});

Deno.test("headerChanged() asks the machine to shut down when the request number is another", () => {
  const rig = new Rig().start();
  rig.driver.headerChanged();
  assertEquals(rig.machine.shutdownRequests, 0);
  rig.cardPage[page.CARD_HEADER.at.shutdown_request] = 1;
  rig.driver.headerChanged();
  rig.driver.headerChanged();
  assertEquals(rig.machine.shutdownRequests, 1);
});

Deno.test("close() leaves nothing that touches card memory, host page or host", () => {
  const rig = new Rig().start();
  const ring = rig.driverOk();
  rig.driver.close();
  rig.link.forget();
  rig.interrupts.length = 0;
  ring.add([{ address: 0x8000, length: 4 }], []);
  rig.bar.write(NOTIFY, 2, 0);
  rig.bar.write(CONFIG, 4, 1);
  rig.bar.write(BAR.status, 1, 0);
  rig.ring(0);
  rig.writeSlot({ reset_done: 1, config_generation: 1 });
  rig.ring(DOORBELL.config_changed);
  assertEquals([rig.link.posted, rig.interrupts, rig.machine.lines], [[], [], [false]]);
});
