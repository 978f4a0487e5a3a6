// A virtio-pci function until its driver is up: what it is on the bus, and the way through its registers.
import { assert, assertEquals } from "@std/assert";
import type { VirtioPciFunction } from "../../card/driver/virtio_pci.ts";
import { barMap, virtioPciConfig } from "../../card/driver/virtio_pci_config.ts";
import {
  accept,
  CONFIG_MSIX,
  DESC,
  DEVICE,
  DEVICE_FEATURE,
  DEVICE_FEATURE_SELECT,
  DRIVER,
  DRIVER_FEATURE,
  DRIVER_FEATURE_SELECT,
  ISR,
  live,
  make,
  NOTIFY,
  NOTIFY_OFF,
  NUM_QUEUES,
  OFFERED,
  QUEUE_ENABLE,
  QUEUE_SELECT,
  QUEUE_SIZE,
  setUp,
  STATUS,
  VERSION_1,
} from "../support/pci_function_rig.ts";

Deno.test("virtioPciConfig() is the type 0 header and capabilities of a modern block device", () => {
  const config = virtioPciConfig(2, barMap(1, 60));
  assertEquals(config.length, 256);
  assertEquals(config.subarray(0, 0x10).toHex(), "f41a4210" + "00001000" + "01000001" + "00000000");
  assertEquals(config.subarray(0x10, 0x28).toHex(), "01000000" + "00".repeat(20), "I/O BAR 0 only");
  assertEquals(config.subarray(0x2c, 0x30).toHex(), "f41a4210");
  assertEquals(config[0x34], 0x40);
  assertEquals(config[0x3d], 1, "INTA#");
  // vndr next len type, bar id padding, offset, length, tail
  assertEquals(
    config.subarray(0x40, 0x50).toHex(),
    "09501001" + "00000000" + "00000000" + "38000000",
  );
  assertEquals(
    config.subarray(0x50, 0x64).toHex(),
    "09641402" + "00000000" + "40000000" + "04000000" + "04000000",
  );
  assertEquals(
    config.subarray(0x64, 0x74).toHex(),
    "09741003" + "00000000" + "38000000" + "01000000",
  );
  assertEquals(
    config.subarray(0x74, 0x84).toHex(),
    "09841004" + "00000000" + "80000000" + "3c000000",
  );
  assertEquals(config.subarray(0x84, 0x98).toHex(), "09001405" + "00".repeat(16));
});

Deno.test("virtioPciConfig() gives each device type its PCI class", () => {
  const classOf = (type: number) =>
    virtioPciConfig(type, barMap(1, 0)).subarray(0x09, 0x0c).toHex();
  assertEquals([1, 2, 3, 4].map(classOf), ["000002", "000001", "008007", "00ff00"]);
});

Deno.test("virtioPciConfig() has no device configuration capability, when there is no configuration", () => {
  const config = virtioPciConfig(4, barMap(1, 0));
  assertEquals(config[0x74 + 3], 5);
});

Deno.test("barMap() gives each queue its own notify address and keeps 256 bytes while it can", () => {
  assertEquals(barMap(3, 24).size, 256);
  assertEquals(barMap(16, 128), {
    common: { offset: 0, length: 0x38 },
    isr: { offset: 0x38, length: 1 },
    notify: { offset: 0x40, length: 64, multiplier: 4 },
    device: { offset: 0x80, length: 128 },
    size: 256,
  });
  assertEquals(barMap(64, 12).notify, { offset: 0x40, length: 128, multiplier: 2 });
  assertEquals(barMap(64, 12).device.offset, 0xc0);
  assertEquals(barMap(64, 12).size, 256);
  assertEquals(barMap(64, 256).size, 512);
});

Deno.test("VirtioPciFunction comes up step by step as a driver of §3.1.1 does it", () => {
  const { fn, took } = make();
  fn.write(STATUS, 1, 0);
  assertEquals(fn.read(STATUS, 1), 0);
  assertEquals(took(), [], "a reset of a device in reset is nobody's business");
  fn.write(STATUS, 1, 1);
  fn.write(STATUS, 1, 3);
  assertEquals(took(), ["status 1", "status 3"]);
  fn.write(DEVICE_FEATURE_SELECT, 4, 0);
  assertEquals(fn.read(DEVICE_FEATURE, 4), 0x3000_0020);
  fn.write(DEVICE_FEATURE_SELECT, 4, 1);
  assertEquals(fn.read(DEVICE_FEATURE, 4), 1);
  fn.write(DEVICE_FEATURE_SELECT, 4, 2);
  assertEquals(fn.read(DEVICE_FEATURE, 4), 0);
  assertEquals(accept(fn), 11);
  assertEquals(took(), ["features 130000020", "status 11"]);
  assertEquals(fn.read(NUM_QUEUES, 2), 3);
  assertEquals(fn.read(CONFIG_MSIX, 2), 0xffff);
  fn.write(QUEUE_SELECT, 2, 2);
  assertEquals(fn.read(QUEUE_SIZE, 2), 64);
  assertEquals(fn.read(NOTIFY_OFF, 2), 2);
  setUp(fn, 2, 32);
  assertEquals(fn.read(QUEUE_ENABLE, 2), 1);
  assertEquals(fn.read(QUEUE_SIZE, 2), 32);
  assertEquals(took(), ["queue 2: 32 4096 8192 12288"]);
  fn.write(STATUS, 1, 15);
  assertEquals(took(), ["driver ok 15"]);
  assert(fn.live);
  fn.write(NOTIFY + 2 * 4, 2, 2);
  assertEquals(took(), ["notified 2"]);
});

for (
  const { what, features } of [
    { what: "a feature that was not offered", features: OFFERED | 1n },
    { what: "everything but VERSION_1", features: OFFERED & ~VERSION_1 },
  ]
) {
  Deno.test(`FEATURES_OK is not kept, when the driver accepts ${what}`, () => {
    const { fn, took } = make();
    assertEquals(accept(fn, features), 3);
    assertEquals(took(), ["status 1", "status 3", "refused features 0"]);
    fn.write(STATUS, 1, 0x83);
    assertEquals(fn.read(STATUS, 1), 0x83);
    assertEquals(took(), ["status 131"]);
  });
}

Deno.test("FEATURES_OK is not kept, when the driver accepts a feature above 63", () => {
  const { fn, took } = make();
  fn.write(DRIVER_FEATURE_SELECT, 4, 2);
  fn.write(DRIVER_FEATURE, 4, 1);
  assertEquals(accept(fn), 3);
  assertEquals(took().at(-1), "refused features 0");
});

Deno.test("driver_feature shows what the driver wrote, each half by itself, until the reset", () => {
  const { fn } = make();
  fn.write(STATUS, 1, 1);
  const at = (select: number) => (fn.write(DRIVER_FEATURE_SELECT, 4, select), fn);
  at(0).write(DRIVER_FEATURE, 4, 0x1000_0020);
  at(1).write(DRIVER_FEATURE, 4, 1);
  assertEquals([0, 1, 2].map((i) => at(i).read(DRIVER_FEATURE, 4)), [0x1000_0020, 1, 0]);
  at(0).write(DRIVER_FEATURE, 4, 0x20);
  assertEquals([0, 1].map((i) => at(i).read(DRIVER_FEATURE, 4)), [0x20, 1]);
  fn.write(STATUS, 1, 0);
  fn.resetDone();
  assertEquals([0, 1].map((i) => at(i).read(DRIVER_FEATURE, 4)), [0, 0]);
});

for (const cause of ["queueInterrupt", "configInterrupt", "needsReset"] as const) {
  Deno.test(`ISR status says why before INTx rises, for ${cause}()`, () => {
    const { fn } = live();
    const seen: number[] = [];
    fn.connect({ set: (asserted) => asserted && seen.push(fn.read(ISR, 1)) });
    fn[cause]();
    assertEquals(seen, [cause === "queueInterrupt" ? 1 : 2]);
  });
}

Deno.test("driver_feature does not change after FEATURES_OK", () => {
  const { fn } = make();
  accept(fn);
  fn.write(DRIVER_FEATURE_SELECT, 4, 0);
  fn.write(DRIVER_FEATURE, 4, 0xffff_ffff);
  assertEquals(fn.read(DRIVER_FEATURE, 4), 0x3000_0020);
});

Deno.test("device_status drops a write that skips the first step", () => {
  const { fn, took } = make();
  for (const status of [2, 8, 11, 4, 15]) fn.write(STATUS, 1, status);
  assertEquals(fn.read(STATUS, 1), 0);
  assertEquals(accept(fn), 11);
  assertEquals(took().filter((line) => line.startsWith("status")), [
    "status 1",
    "status 3",
    "status 11",
  ]);
});

for (
  const { what, from, write } of [
    { what: "DRIVER is taken back", from: 3, write: 1 },
    { what: "FEATURES_OK is taken back", from: 11, write: 3 },
    { what: "DRIVER_OK is taken back", from: 15, write: 11 },
    { what: "FEATURES_OK is skipped", from: 3, write: 7 },
    { what: "FEATURES_OK and DRIVER_OK come as one", from: 3, write: 15 },
  ]
) {
  Deno.test(`the device needs a reset, when ${what}`, () => {
    const { fn, took } = make();
    accept(fn);
    if (from === 15) fn.write(STATUS, 1, 15);
    if (from === 3) {
      fn.write(STATUS, 1, 0);
      fn.resetDone();
      fn.write(STATUS, 1, 3);
    }
    took();
    fn.write(STATUS, 1, write);
    fn.write(STATUS, 1, write);
    assertEquals(took(), ["refused status 0"], "once");
    assertEquals(fn.read(STATUS, 1), from | 0x40);
    fn.write(STATUS, 1, 0);
    fn.resetDone();
    assertEquals(accept(fn), 11);
  });
}

for (
  const { what, act } of [
    {
      what: "its size is no power of two",
      act: (fn: VirtioPciFunction) => fn.write(QUEUE_SIZE, 2, 96),
    },
    {
      what: "its size is above the largest",
      act: (fn: VirtioPciFunction) => fn.write(QUEUE_SIZE, 2, 512),
    },
    { what: "its size is 0", act: (fn: VirtioPciFunction) => fn.write(QUEUE_SIZE, 2, 0) },
    {
      what: "its descriptor table is misaligned",
      act: (fn: VirtioPciFunction) => setUp(fn, 0, 16, 0x1008),
    },
    {
      what: "a ring is outside card memory",
      act: (fn: VirtioPciFunction) => setUp(fn, 0, 16, 0xfe000),
    },
    {
      what: "an address is absurd",
      act: (fn: VirtioPciFunction) => {
        fn.write(DESC + 4, 4, 0xffff_ffff);
        fn.write(QUEUE_ENABLE, 2, 1);
      },
    },
  ]
) {
  Deno.test(`a queue is refused and the device needs a reset, when ${what}`, () => {
    const { fn, took } = make();
    accept(fn);
    took();
    fn.write(QUEUE_SELECT, 2, 0);
    act(fn);
    assertEquals(took(), ["refused queue-setup 0"]);
    assertEquals(fn.read(QUEUE_ENABLE, 2), 0);
    assertEquals(fn.read(STATUS, 1), 0x4b);
  });
}

for (
  const { what, at, width, value } of [
    { what: "the size", at: QUEUE_SIZE, width: 2, value: 64 },
    { what: "the size, to none that can be", at: QUEUE_SIZE, width: 2, value: 0 },
    { what: "an address", at: DRIVER, width: 4, value: 0x8000 },
    { what: "the upper half of an address", at: DEVICE + 4, width: 4, value: 1 },
    { what: "the enable", at: QUEUE_ENABLE, width: 2, value: 0 },
  ] as const
) {
  for (const status of [11, 15]) {
    Deno.test(`the device needs a reset, when ${what} of an enabled queue changes in status ${status}`, () => {
      const { fn, took } = make();
      accept(fn);
      setUp(fn);
      if (status === 15) fn.write(STATUS, 1, 15);
      const before = fn.read(at, width);
      took();
      fn.write(at, width, value);
      fn.write(at, width, value);
      assertEquals(took(), ["refused queue-setup 0"], "once");
      assertEquals([fn.read(at, width), fn.read(STATUS, 1)], [before, status | 0x40]);
    });
  }
}

Deno.test("queue registers are latched once the queue is enabled, and closed outside set-up", () => {
  const { fn, took } = make();
  setUp(fn);
  assertEquals(fn.read(DESC, 4), 0, "before FEATURES_OK");
  accept(fn);
  setUp(fn);
  setUp(fn);
  assertEquals(fn.read(STATUS, 1), 11, "the same again");
  setUp(fn, 0, 16, 0x8000);
  fn.write(QUEUE_ENABLE, 2, 0);
  assertEquals(fn.read(QUEUE_SIZE, 2), 128);
  assertEquals(fn.read(DESC, 4), 0x1000);
  assertEquals(fn.read(QUEUE_ENABLE, 2), 1);
  fn.write(STATUS, 1, 15);
  setUp(fn, 2, 16, 0x8000);
  assertEquals(fn.read(QUEUE_ENABLE, 2), 0, "after DRIVER_OK");
  assertEquals(took().filter((line) => line.startsWith("queue")).length, 1);
});

Deno.test("a queue that does not exist reads as size 0 and takes nothing", () => {
  const { fn, took } = make();
  accept(fn);
  took();
  for (const queue of [1, 3, 0xffff]) {
    setUp(fn, queue);
    assertEquals(fn.read(QUEUE_SIZE, 2), 0);
    assertEquals(fn.read(QUEUE_ENABLE, 2), 0);
  }
  assertEquals(took(), []);
});
