// What a card driver does while it has no host, and when another takes over. The test is host and card OS at once.
import { assert, assertEquals } from "@std/assert";
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

const PIECE = [{ address: 0x8000, length: 4 }];
const DISK_WRITEBACK = 32;

/** The host dies: its half of the page goes, and nothing is posted any more. */
function park(rig: Rig): void {
  rig.driver.park();
  rig.hostPage.moveTo(0);
  rig.cardPage.fill(0);
  rig.link.forget();
}

/** Another host publishes `values` in the slot, and adopts. Sentences of broken devices. */
function adopt(
  rig: Rig,
  values: Partial<ReturnType<typeof page.CARD_SLOT.read>> = {},
  { sizeMax = 16, config = [1, 2, 3, 4] } = {},
): string[] {
  rig.writeSlot(values);
  const at = page.slotOffset(SLOT);
  rig.cardPage.set(config, at + page.DEVICE_CONFIG_OFFSET);
  for (const queue of [0, 1]) {
    page.CARD_QUEUE.write(viewOf(rig.cardPage), {
      size_max: sizeMax,
      msi_event: 0,
      staging_length: 0x1000,
      mirror_address: MIRROR + 0x1000 * queue,
      staging_address: STAGING + 0x1000 * queue,
      push_limit: 64,
      reserved: 0,
    }, at + page.QUEUES_OFFSET + queue * page.CARD_QUEUE.size);
  }
  rig.hostPage.moveTo(HOST_PAGE);
  const broken: string[] = [];
  rig.driver.adopt((slot, text) => broken.push(`${slot}: ${text}`));
  return broken;
}

/** Heads of the records posted, in order: le16 at the start of each. */
const offered = (rig: Rig): number[] =>
  rig.link.posted.flatMap((p) =>
    "write" in p && p.write >= STAGING && p.write < MIRROR
      ? [viewOf(p.bytes).getUint16(0, true)]
      : []
  );

Deno.test("adopt() tells the host of a running driver, and offers it what was not used", () => {
  const rig = new Rig().start();
  const ring = rig.driverOk();
  const heads = [1, 2, 3].map(() => ring.add(PIECE, []));
  rig.bar.write(NOTIFY, 2, 0);
  rig.use(ring, heads[1]!);
  rig.bar.read(ISR, 1);
  park(rig);
  assertEquals(adopt(rig), []);
  const { queues, status, adopted, features_accepted, reset_request } = rig.hostSlot;
  assertEquals([status, adopted, reset_request], [ALL_OK, 1, 0]);
  assertEquals(features_accepted, 1n << 32n);
  assertEquals([queues[0]!.used_index, queues[0]!.available_index], [1, 1]);
  assertEquals([queues[0]!.enabled, queues[0]!.size, queues[1]!.enabled], [1, 8, 0]);
  // Two records, one span.
  assertEquals(offered(rig), [heads[0]!]);
  assertEquals(rig.interrupts.at(-1), SLOT + 1);
  // What was used already raises no interrupt again.
  assertEquals(rig.machine.lines[0], false);
});

Deno.test("adopt() ends the host page slot's row with `adopted`, byte by byte", () => {
  const rig = new Rig().start();
  rig.driverOk();
  park(rig);
  adopt(rig);
  const row = rig.link.posted.flatMap((p) =>
    "write" in p && p.write === HOST_PAGE + page.slotOffset(SLOT) ? [[...p.bytes]] : []
  );
  assertEquals(row, [[
    ...[15, 0, 0, 0, 0, 0, 0, 0],
    ...[0, 0, 0, 0, 1, 0, 0, 0],
    ...[0, 0, 0, 0, 0, 0, 0, 0],
    // Its function is there until the card is reset.
    ...[1, 0, 0, 0, 1, 0, 0, 0],
  ]]);
});

Deno.test("while there is no host nothing is posted, and what is made available waits", () => {
  const rig = new Rig().start();
  const ring = rig.driverOk();
  park(rig);
  const head = ring.add(PIECE, []);
  rig.bar.write(NOTIFY, 2, 0);
  rig.ring(0);
  rig.ring(DOORBELL.config_changed);
  assertEquals(rig.link.posted, []);
  assertEquals(rig.bar.read(CONFIG, 4), 0x0403_0201);
  adopt(rig);
  assertEquals(offered(rig), [head]);
});

Deno.test("a driver that comes up without a host is told to the next", () => {
  const rig = new Rig().start();
  rig.negotiate();
  const ring = rig.setUp();
  park(rig);
  rig.bar.write(BAR.status, 1, ALL_OK);
  const head = ring.add(PIECE, []);
  assertEquals(rig.link.posted, []);
  adopt(rig);
  assertEquals([rig.hostSlot.status, rig.hostSlot.adopted], [ALL_OK, 0]);
  assertEquals(offered(rig), [head]);
});

Deno.test("a reset waits for the next host, and is done with it", () => {
  const rig = new Rig().start();
  rig.driverOk();
  park(rig);
  rig.bar.write(BAR.status, 1, 0);
  assertEquals(rig.bar.read(BAR.status, 1), ALL_OK);
  adopt(rig, { reset_done: 0 });
  assertEquals(rig.bar.read(BAR.status, 1), 0);
  const { status, reset_request, adopted, queues } = rig.hostSlot;
  assertEquals([status, reset_request, adopted, queues[0]!.enabled], [0, 0, 0, 0]);
  rig.driverOk();
  assertEquals(rig.hostSlot.status, ALL_OK);
});

Deno.test("configuration that the next host has otherwise gets a new generation and an interrupt", () => {
  const rig = new Rig();
  rig.writeSlot({ config_generation: 5 });
  rig.start();
  rig.driverOk();
  park(rig);
  adopt(rig, { config_generation: 0 });
  assertEquals([rig.bar.read(ISR, 1), rig.bar.read(0x15, 1)], [0, 5]);
  park(rig);
  adopt(rig, { config_generation: 0 }, { config: [1, 2, 3, 9] });
  assertEquals([rig.bar.read(ISR, 1), rig.bar.read(0x15, 1)], [2, 6]);
  assertEquals(rig.bar.read(CONFIG, 4), 0x0903_0201);
  // The new host's own count goes on from there.
  rig.writeSlot({ config_generation: 1 });
  rig.ring(DOORBELL.config_changed);
  assertEquals(rig.bar.read(0x15, 1), 7);
});

Deno.test("a cache mode that the driver chose is told to the next host, and so is what waited", () => {
  const rig = new Rig();
  const config = Array.from({ length: 36 }, (_, at) => at === DISK_WRITEBACK ? 1 : 0);
  rig.writeSlot({ config_length: 36, features_offered: OFFERED | 1n << 11n });
  const start = page.slotOffset(SLOT) + page.DEVICE_CONFIG_OFFSET;
  rig.cardPage.set(config, start);
  rig.start();
  rig.negotiate(1 << 11);
  rig.setUp();
  rig.bar.write(BAR.status, 1, ALL_OK);
  rig.bar.write(CONFIG + DISK_WRITEBACK, 1, 0);
  park(rig);
  rig.bar.write(CONFIG + 8, 4, 77);
  assertEquals(rig.link.posted, []);
  adopt(rig, { config_length: 36, features_offered: OFFERED | 1n << 11n }, { config });
  assertEquals(rig.bar.read(CONFIG + DISK_WRITEBACK, 1), 0);
  assertEquals(rig.link.messages(MESSAGE.device_config_write), [
    [SLOT | 4 << 8 | 8 << 16, 77],
    [SLOT | 1 << 8 | DISK_WRITEBACK << 16, 0],
  ]);
});

const MISMATCHES = [
  {
    what: "without a feature that was accepted",
    values: { features_offered: 1n << 28n | 1n << 29n },
    sizeMax: 16,
    fault: DRIVER_FAULT.features,
  },
  {
    what: "with a shorter queue",
    values: {},
    sizeMax: 4,
    fault: DRIVER_FAULT["queue-setup"],
  },
] as const;
for (const { what, values, sizeMax, fault } of MISMATCHES) {
  Deno.test(`a device that comes back ${what} needs a reset, and works after it`, () => {
    const rig = new Rig().start();
    const ring = rig.driverOk();
    ring.add(PIECE, []);
    rig.bar.write(NOTIFY, 2, 0);
    park(rig);
    const broken = adopt(rig, values, { sizeMax });
    assertEquals(broken.length, 1);
    assert(rig.bar.read(BAR.status, 1) & DEVICE_STATUS.DEVICE_NEEDS_RESET);
    assertEquals([rig.hostSlot.fault, rig.hostSlot.adopted, offered(rig).length], [fault, 0, 0]);
    // The next host is told the same.
    park(rig);
    adopt(rig);
    assertEquals([rig.hostSlot.fault, offered(rig).length], [fault, 0]);
    rig.bar.write(BAR.status, 1, 0);
    rig.writeSlot({ reset_done: rig.hostSlot.reset_request });
    rig.ring(DOORBELL.config_changed);
    assertEquals(rig.bar.read(BAR.status, 1), 0);
    rig.driverOk();
    assertEquals([rig.hostSlot.status, rig.hostSlot.fault], [ALL_OK, 0]);
  });
}

for (const [what, type] of [["nothing", 0], ["a device of another type", 4]] as const) {
  Deno.test(`a device in whose slot the next host has ${what} is broken, and the host hears nothing of it`, () => {
    const rig = new Rig().start();
    const ring = rig.driverOk();
    ring.add(PIECE, []);
    rig.bar.write(NOTIFY, 2, 0);
    park(rig);
    const broken = adopt(rig, { type });
    assertEquals(broken.length, 1);
    assert(rig.bar.read(BAR.status, 1) & DEVICE_STATUS.DEVICE_NEEDS_RESET);
    const { status, fault, queues, adopted } = rig.hostSlot;
    assertEquals([status, fault, queues[0]!.enabled, adopted], [0, 0, 0, 0]);
    // A reset does not wait for anybody, and the driver finds nothing to agree on.
    rig.bar.write(BAR.status, 1, 0);
    assertEquals(rig.bar.read(BAR.status, 1), 0);
    rig.negotiate();
    assertEquals(rig.bar.read(BAR.status, 1) & DEVICE_STATUS.FEATURES_OK, 0);
    rig.bar.write(BAR.status, 1, 0);
    // Until a host has it again.
    park(rig);
    assertEquals(adopt(rig), []);
    rig.driverOk();
    assertEquals(rig.hostSlot.status, ALL_OK);
  });
}
