import { assertEquals, assertThrows } from "@std/assert";
import { AttachedDevice } from "../../host/driver/attached_device.ts";
import { CardPage } from "../../host/driver/card_page.ts";
import type { DeviceFault } from "../../host/driver/events.ts";
import { HostPage } from "../../host/driver/host_page.ts";
import { probe } from "../../host/driver/probe.ts";
import { stagingLength } from "../../host/driver/queue_regions.ts";
import { RootPort } from "../../host/driver/root_port.ts";
import { Slot } from "../../host/driver/slot.ts";
import { CARD_SLOT, HOST_QUEUE, HOST_SLOT } from "../../protocol/device_page.ts";
import { DRIVER_FAULT, DriverError, page, viewOf } from "../../protocol/mod.ts";
import { FakeCard } from "../support/fake_card.ts";
import { FakeDevice } from "../support/fake_device.ts";

const SLOT = 4096;
const DRIVER_OK = 15;
/** VERSION_1, EVENT_IDX and a bit of the device. */
const ACCEPTED = 0x1_2000_0001n;

/** A slot 0 on a fake card, and the driver's side of it by hand. */
class Bench {
  readonly root = new RootPort();
  readonly card = new FakeCard(this.root);
  readonly device: FakeDevice;
  readonly attached: AttachedDevice;
  readonly faults: DeviceFault[] = [];
  readonly started: string[] = [];
  hostPage!: HostPage;
  slot!: Slot;
  #resets = 0;

  constructor(device = new FakeDevice()) {
    this.device = device;
    this.attached = new AttachedDevice(device);
  }

  async plug(): Promise<this> {
    const { registers, windows } = await probe(this.card.requester);
    this.hostPage = new HostPage(this.root.memory);
    const cardPage = new CardPage(registers, windows.aperture.address + this.card.pageOffset);
    this.slot = new Slot({
      number: 0,
      attached: this.attached,
      requester: this.card.requester,
      windows,
      cardMemoryBytes: this.card.memoryBytes,
      cardPage,
      hostPage: this.hostPage,
      memory: this.root.memory,
      onStarted: (_, device) => this.started.push(device),
      onFault: (fault) => this.faults.push(fault),
    });
    this.root.handle(1, () => this.slot.interrupt());
    await this.card.settle();
    return this;
  }

  /** The slot as the card reads it. */
  get row() {
    return CARD_SLOT.read(viewOf(this.card.page), SLOT);
  }

  queueRow(queue: number) {
    return page.CARD_QUEUE.read(viewOf(this.card.page), SLOT + 320 + queue * page.CARD_QUEUE.size);
  }

  setSlot(values: Partial<ReturnType<typeof HOST_SLOT.read>>) {
    const bytes = new Uint8Array(HOST_SLOT.size);
    const defaults = {
      status: 0,
      features_accepted: 0n,
      fault: 0,
      fault_queue: 0,
      adopted: 0,
      plug: 0,
    };
    HOST_SLOT.write(viewOf(bytes), { ...defaults, reset_request: this.#resets, ...values });
    this.card.write(this.hostPage.address + SLOT, bytes);
  }

  setQueue(values: Partial<ReturnType<typeof HOST_QUEUE.read>>, queue = 0) {
    const bytes = new Uint8Array(HOST_QUEUE.size);
    HOST_QUEUE.write(viewOf(bytes), {
      size: 8,
      enabled: 1,
      used_index: 0,
      available_index: 0,
      descriptor_table: 0x1000,
      available_ring: 0x2000,
      used_ring: 0x3000,
      ...values,
    });
    this.card.write(this.hostPage.address + SLOT + 320 + queue * HOST_QUEUE.size, bytes);
  }

  start() {
    this.setQueue({});
    this.setSlot({ status: DRIVER_OK, features_accepted: ACCEPTED });
    this.card.interrupt(1);
  }

  reset() {
    this.#resets++;
    for (const queue of [0, 1]) this.setQueue({ size: 0, enabled: 0 }, queue);
    this.setSlot({});
    this.card.interrupt(1);
  }

  /** Posts record number `index`: head `head`, four pushed bytes. */
  offer(index: number, head: number) {
    const { mirror_address, staging_address } = this.queueRow(0);
    const record = Uint8Array.of(head, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4);
    this.card.write(staging_address + 32 * index, record);
    this.card.write32(mirror_address + 4 + 4 * (index & 7), 32 * index);
    this.card.write(mirror_address + 2, Uint8Array.of(index + 1, 0));
  }

  async unplug() {
    await this.slot.unplug();
    this.slot.release();
    this.hostPage[Symbol.dispose]();
    assertEquals(this.root.memory.regions, 0);
  }
}

Deno.test("Slot publishes device, features of the transport, configuration and queue regions", async () => {
  const bench = await new Bench(new FakeDevice({ type: 1, queueSizes: [8, 0, 256] })).plug();
  const { type, queue_count, config_length, features_offered } = bench.row;
  assertEquals([type, queue_count, config_length], [1, 3, 4]);
  assertEquals(features_offered, 0x1_3000_0005n);
  assertEquals(bench.card.page.slice(SLOT + 64, SLOT + 68), Uint8Array.of(1, 2, 3, 4));
  const [first, none, last] = [0, 1, 2].map((queue) => bench.queueRow(queue));
  assertEquals([first!.size_max, none!.size_max, last!.size_max], [8, 0, 256]);
  assertEquals([none!.mirror_address, none!.staging_length], [0, 0]);
  assertEquals(first!.push_limit, 64);
  assertEquals(first!.staging_length, 64 * 1024);
  // The card can write all of both and read none of it.
  bench.card.write(first!.mirror_address, new Uint8Array(4 + 4 * 8));
  bench.card.write(first!.staging_address, new Uint8Array(first!.staging_length));
  assertThrows(() => bench.root.memoryRead(first!.staging_address, new Uint8Array(1)));
  await bench.unplug();
});

Deno.test("Slot starts the device at DRIVER_OK, once, with its queues and features", async () => {
  const bench = await new Bench(new FakeDevice({ queueSizes: [8, 8] })).plug();
  bench.setSlot({ status: 11, features_accepted: ACCEPTED });
  bench.card.interrupt(1);
  assertEquals(bench.device.calls, []);
  bench.start();
  bench.card.interrupt(1);
  assertEquals(bench.device.calls, ["start"]);
  assertEquals(bench.started, ["fake"]);
  const session = bench.device.session!;
  assertEquals(session.features, ACCEPTED);
  assertEquals(session.queues.map((queue) => queue?.size), [8, undefined]);
  await bench.unplug();
  assertEquals(session.signal.aborted, true);
  assertEquals(bench.device.calls, ["start", "stop", "stopped"]);
});

Deno.test("Slot notifies the queues that have chains, those from before DRIVER_OK too", async () => {
  const bench = await new Bench().plug();
  bench.offer(0, 3);
  bench.device.onNotified = () => {
    const queue = bench.device.session!.queues[0]!;
    const chain = queue.pop()!;
    queue.push(chain, 0);
    queue.publish();
  };
  bench.start();
  assertEquals(bench.device.calls, ["start", "notified 0"]);
  bench.card.interrupt(1);
  assertEquals(bench.device.calls, ["start", "notified 0"]);
  bench.offer(1, 4);
  bench.card.interrupt(1);
  assertEquals(bench.device.calls, ["start", "notified 0", "notified 0"]);
  await bench.card.settle();
  assertEquals(
    bench.card.aperture.slice(0x3000, 0x3000 + 20).toHex(),
    "00000200" + "0300000000000000" + "0400000000000000",
  );
  await bench.unplug();
});

const BAD_STARTS: readonly (readonly [string, (bench: Bench) => void, string])[] = [
  ["a feature that was not offered", (b) => {
    b.setQueue({});
    b.setSlot({ status: DRIVER_OK, features_accepted: ACCEPTED | 2n });
  }, "features"],
  ["a driver without VERSION_1", (b) => {
    b.setQueue({});
    b.setSlot({ status: DRIVER_OK, features_accepted: 1n });
  }, "features"],
  ["a queue larger than offered", (b) => b.setQueue({ size: 16 }), "queue-setup"],
  ["a queue that is no power of two", (b) => b.setQueue({ size: 6 }), "queue-setup"],
  ["a queue of size 0", (b) => b.setQueue({ size: 0 }), "queue-setup"],
  ["a misaligned ring", (b) => b.setQueue({ descriptor_table: 0x1008 }), "queue-setup"],
  ["a ring outside card memory", (b) => b.setQueue({ used_ring: 0x40_0000 - 8 }), "queue-setup"],
  ["a queue that does not exist", (b) => {
    b.setQueue({});
    b.setQueue({}, 1);
  }, "queue-setup"],
];
for (const [what, spoil, fault] of BAD_STARTS) {
  Deno.test(`Slot refuses ${what}: the device needs a reset`, async () => {
    const bench = await new Bench(new FakeDevice({ queueSizes: [8, 0] })).plug();
    bench.setSlot({ status: DRIVER_OK, features_accepted: ACCEPTED });
    spoil(bench);
    bench.card.interrupt(1);
    await bench.card.settle();
    assertEquals(bench.device.calls, []);
    assertEquals(bench.faults.map((f) => f.fault), [fault]);
    assertEquals(bench.row.needs_reset, DRIVER_FAULT[fault as "features"]);
    assertEquals(bench.card.doorbells.at(-1), [1, 0xffff]);
    // It stays so, whatever the driver does but reset.
    bench.start();
    assertEquals(bench.device.calls, []);
    bench.reset();
    await bench.card.settle();
    assertEquals(bench.row.needs_reset, 0);
    assertEquals(bench.row.reset_done, 1);
    bench.start();
    assertEquals(bench.device.calls, ["start"]);
    await bench.unplug();
  });
}

Deno.test("Slot ends the session when the device fails it, and starts anew after a reset", async () => {
  const bench = await new Bench().plug();
  bench.start();
  const session = bench.device.session!;
  session.fail(new DriverError("request", "Cannot serve request: type 99"));
  session.fail(new DriverError("record", "late"));
  await bench.card.settle();
  assertEquals(bench.faults.map((f) => [f.slot, f.device, f.fault]), [[0, "fake", "request"]]);
  assertEquals(session.signal.aborted, true);
  assertEquals(bench.row.needs_reset, DRIVER_FAULT.request);
  bench.offer(0, 1);
  bench.card.interrupt(1);
  assertEquals(session.queues[0]!.pop(), undefined);
  assertEquals(bench.device.calls, ["start"]);
  bench.reset();
  await bench.card.settle();
  bench.start();
  assertEquals(bench.device.calls, ["start", "stop", "stopped", "start"]);
  await bench.unplug();
});

Deno.test("Slot turns what the device throws into a fault: the driver's by its code, ours as internal", async () => {
  for (
    const [error, fault, number] of [
      [new DriverError("chain-order", "bad"), "chain-order", DRIVER_FAULT["chain-order"]],
      [new RangeError("a bug"), "internal", DRIVER_FAULT.request],
    ] as const
  ) {
    const bench = await new Bench().plug();
    bench.start();
    bench.device.onNotified = () => {
      throw error;
    };
    bench.offer(0, 1);
    bench.card.interrupt(1);
    await bench.card.settle();
    assertEquals(bench.faults, [{ slot: 0, device: "fake", fault, error }]);
    assertEquals(bench.row.needs_reset, number);
    await bench.unplug();
  }
});

Deno.test("Slot takes a fault that the card's chain walker found", async () => {
  const bench = await new Bench().plug();
  bench.start();
  bench.setSlot({
    status: DRIVER_OK,
    features_accepted: ACCEPTED,
    fault: DRIVER_FAULT["chain-loop"],
  });
  bench.card.interrupt(1);
  bench.card.interrupt(1);
  await bench.card.settle();
  assertEquals(bench.faults.map((f) => f.fault), ["chain-loop"]);
  assertEquals(bench.row.needs_reset, DRIVER_FAULT["chain-loop"]);
  await bench.unplug();
});

Deno.test("Slot answers a reset when the device has stopped, and not before", async () => {
  const bench = await new Bench().plug();
  bench.start();
  bench.offer(0, 1);
  const gate = Promise.withResolvers<void>();
  bench.device.stopped = gate.promise;
  bench.reset();
  await bench.card.settle();
  assertEquals(bench.row.reset_done, 0);
  assertEquals(bench.device.session!.signal.aborted, true);
  // The driver asks again meanwhile; that is one more reset, after this one.
  bench.reset();
  gate.resolve();
  await bench.card.settle();
  assertEquals(bench.row.reset_done, 2);
  assertEquals(bench.device.calls, ["start", "stop", "stopped"]);
  // What was in the mirror before is not there any more.
  bench.start();
  assertEquals(bench.device.calls.at(-1), "start");
  await bench.unplug();
});

Deno.test("Slot publishes a new configuration with a new generation", async () => {
  const bench = await new Bench().plug();
  bench.device.bytes = Uint8Array.of(9, 8, 7, 6);
  bench.device.slot!.configChanged();
  bench.device.slot!.configChanged();
  await bench.card.settle();
  assertEquals(bench.card.page.slice(SLOT + 64, SLOT + 68), Uint8Array.of(9, 8, 7, 6));
  assertEquals(bench.row.config_generation, 2);
  assertEquals(bench.card.doorbells, [[1, 0xffff], [1, 0xffff]]);
  await bench.unplug();
  bench.device.slot!.configChanged();
  await bench.card.settle();
  assertEquals(bench.row.config_generation, 2);
});

Deno.test("Slot answers a driver only while the link takes answers, and then once", async () => {
  const bench = await new Bench().plug();
  bench.start();
  await bench.card.settle();
  const posted = bench.card.writes.length;
  bench.card.writable = false;
  for (let value = 0; value < 100; value++) {
    bench.reset();
    bench.device.bytes = Uint8Array.of(value, 0, 0, 0);
    bench.device.slot!.configChanged();
    await bench.card.settle();
  }
  assertEquals(bench.card.writes.length, posted);
  bench.card.resume();
  await bench.card.settle();
  assertEquals([bench.row.reset_done, bench.row.config_generation], [100, 1]);
  assertEquals(bench.card.page[SLOT + 64], 99);
  assertEquals(bench.device.calls, ["start", "stop", "stopped"]);
  bench.start();
  assertEquals(bench.device.calls.at(-1), "start");
  await bench.unplug();
});

Deno.test("Slot publishes what a reset made of the configuration before the reset is done", async () => {
  const bench = await new Bench().plug();
  bench.start();
  bench.device.onStop = () => {
    bench.device.bytes = Uint8Array.of(7, 0, 0, 0);
    bench.card.writable = false;
    bench.device.slot!.configChanged();
  };
  bench.reset();
  await bench.card.settle();
  assertEquals([bench.row.reset_done, bench.row.config_generation], [1, 1]);
  assertEquals(bench.card.doorbells, [[1, 0], [1, 0xffff], [1, 0xffff]]);
  bench.card.resume();
  await bench.card.settle();
  assertEquals(bench.row.config_generation, 1);
  await bench.unplug();
});

Deno.test("Slot.unplug() forgets what waited for the link", async () => {
  const bench = await new Bench().plug();
  bench.start();
  bench.card.writable = false;
  bench.device.slot!.configChanged();
  bench.reset();
  await bench.unplug();
  const posted = bench.card.writes.length;
  bench.card.resume();
  await bench.card.settle();
  assertEquals(bench.card.writes.length, posted);
});

Deno.test("Slot passes on writes to device configuration space that lie in it", async () => {
  const bench = await new Bench().plug();
  bench.slot.configWritten(8, 4, 0x41);
  bench.slot.configWritten(254, 4, 0x41);
  assertEquals(bench.device.calls, ["config 8 4 65"]);
  await bench.unplug();
});

Deno.test("Slot.unplug() waits for a reset that is under way, and posts nothing after", async () => {
  const bench = await new Bench().plug();
  bench.start();
  const gate = Promise.withResolvers<void>();
  bench.device.stopped = gate.promise;
  bench.reset();
  await bench.card.settle();
  const posted = bench.card.writes.length;
  let unplugged = false;
  const unplugging = bench.unplug().then(() => unplugged = true);
  await bench.card.settle();
  assertEquals(unplugged, false);
  gate.resolve();
  await unplugging;
  await bench.card.settle();
  assertEquals(bench.card.writes.length, posted);
  assertEquals(bench.device.calls, ["start", "stop", "stopped"]);
});

Deno.test("AttachedDevice refuses queues that cannot be, and a second card", async () => {
  assertThrows(
    () => new AttachedDevice(new FakeDevice({ queueSizes: [2048] })),
    RangeError,
    "2048",
  );
  assertThrows(() => new AttachedDevice(new FakeDevice({ queueSizes: [12] })), RangeError, "12");
  const queueSizes = new Array(65).fill(8);
  assertThrows(() => new AttachedDevice(new FakeDevice({ queueSizes })), RangeError, "65 queues");
  const bench = await new Bench().plug();
  assertThrows(
    () => bench.attached.plugInto({ configChanged() {} }),
    TypeError,
    "it is in one already",
  );
  await bench.unplug();
});

Deno.test("stagingLength() has room for two of the largest records, within 64 KiB and 16 MiB", () => {
  assertEquals(stagingLength(8, 64), 64 * 1024);
  assertEquals(stagingLength(256, 4096), 1_060_864);
  assertEquals(stagingLength(256, 128 * 1024), 16 * 1024 * 1024);
  const large = stagingLength(1024, 12 * 1024 * 1024);
  assertEquals(large >= 2 * (16 + 16 * 1024 + 12 * 1024 * 1024), true);
});
