// The configuration access capability of a virtio-pci function (virtio 1.3 §4.1.4.9), through the buses of both machines.
import { assertEquals, assertThrows } from "@std/assert";
import { VirtioPciFunction } from "../../card/driver/virtio_pci.ts";
import { ConfigWindow } from "../../card/driver/virtio_pci_window.ts";
import { PciBus } from "../../card/machine/diag/pci_bus.ts";
import { v86Machine } from "../../card/machine/v86/machine.ts";
import * as asm from "../support/tiny_kernel.ts";
import { memoryBytes, recorder, RESULT, result, run } from "../support/v86_rig.ts";

/** In configuration space, of a function with device configuration: fields of the capability, typed by hand. */
const CAP = 0x84;
const BAR = CAP + 4;
const OFFSET = CAP + 8;
const LENGTH = CAP + 12;
const DATA = CAP + 16;
/** In BAR 0. */
const DRIVER_FEATURE = 0x0c;
const STATUS = 0x14;
const ISR = 0x38;
const CONFIG = 0x80;

function diskFunction(): VirtioPciFunction {
  const nothing = () => {};
  return new VirtioPciFunction(
    {
      name: "disk",
      type: 2,
      queueSizes: [64],
      features: 1n << 32n,
      configLength: 8,
      deviceConfig: () => Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 0xf8),
      configGeneration: () => 0,
    },
    {
      featuresAccepted: nothing,
      queueEnabled: nothing,
      statusChanged: nothing,
      driverOk: nothing,
      resetRequested: nothing,
      notified: nothing,
      configWritten: nothing,
      refused: nothing,
    },
    0x10_0000,
  );
}

/** The function in slot 0 of the diagnostic machine's bus; its BAR is at no address and not decoded. */
function onBus() {
  const fn = diskFunction();
  const bus = new PciBus(() => {});
  fn.connect(bus.plug(fn));
  const select = (at: number) => bus.write(0xcf8, 4, 0x8000_0000 | (at & 0xfc));
  const read = (at: number, width: 1 | 2 | 4 = 4) => {
    select(at);
    return bus.read(0xcfc + (at & 3), width);
  };
  const write = (at: number, width: 1 | 2 | 4, value: number) => {
    select(at);
    bus.write(0xcfc + (at & 3), width, value);
  };
  const point = (offset: number, length: number, bar = 0) => {
    write(BAR, 1, bar);
    write(OFFSET, 4, offset);
    write(LENGTH, 4, length);
  };
  return { fn, read, write, point };
}

Deno.test("a write to pci_cfg_data writes the BAR where the capability says, in its length", () => {
  const { fn, write, point } = onBus();
  point(STATUS, 1);
  write(DATA, 4, 0xffff_ff01);
  assertEquals(fn.read(STATUS, 1), 1);
  write(DATA, 1, 3);
  assertEquals(fn.read(STATUS, 1), 3);
  point(DRIVER_FEATURE, 4);
  write(DATA, 4, 0x89ab_cdef);
  assertEquals(fn.read(DRIVER_FEATURE, 4), 0x89ab_cdef);
});

Deno.test("a read of pci_cfg_data is a read of the BAR where the capability says, in its length", () => {
  const { fn, read, write, point } = onBus();
  point(CONFIG + 4, 4);
  assertEquals(read(DATA), 0xf807_0605);
  point(CONFIG + 6, 2);
  assertEquals(read(DATA, 2), 0xf807);
  point(CONFIG + 3, 1);
  assertEquals(read(DATA, 1), 4);
  // A read with consequences has them once.
  for (const status of [1, 3]) fn.write(STATUS, 1, status);
  fn.write(0x08, 4, 1);
  fn.write(DRIVER_FEATURE, 4, 1);
  for (const status of [11, 15]) fn.write(STATUS, 1, status);
  fn.queueInterrupt();
  point(ISR, 1);
  assertEquals([read(0x04) >>> 16 & 8, read(DATA, 1), read(DATA, 1)], [8, 1, 0]);
  write(LENGTH, 4, 0);
  fn.queueInterrupt();
  for (let at = 0; at < 256; at += 4) read(at);
  assertEquals(fn.read(ISR, 1), 1, "a dump of configuration space reads nothing else");
});

Deno.test("pci_cfg_data leads nowhere, for a length, offset or BAR that cannot be", () => {
  const { fn, read, write, point } = onBus();
  fn.write(STATUS, 1, 1);
  write(DATA, 4, 0x5a5a_5a5a);
  for (
    const [offset, length, bar] of [
      [STATUS, 0, 0],
      [STATUS, 3, 0],
      [STATUS, 8, 0],
      [STATUS, 0x101, 0],
      [STATUS + 1, 2, 0],
      [0xfe, 4, 0],
      [0x100, 1, 0],
      [0xffff_ffff, 1, 0],
      [STATUS, 1, 1],
      [STATUS, 1, 0xff],
    ] as const
  ) {
    point(offset, length, bar);
    assertEquals(read(DATA), 0x5a5a_5a5a);
    write(DATA, 4, 0x5a5a_5a5a);
    assertEquals(fn.read(STATUS, 1), 1);
  }
});

Deno.test("of the capability only BAR, offset, length and data can be written", () => {
  const { read, write } = onBus();
  const before = Array.from({ length: 5 }, (_, i) => read(CAP + 4 * i));
  for (const at of [CAP, CAP + 4]) write(at, 4, 0xffff_ffff);
  assertEquals([read(CAP), read(CAP + 4)], [before[0], 0xff]);
  write(BAR, 1, 0);
  for (const at of [OFFSET, LENGTH]) write(at, 4, 0x1234_5678);
  assertEquals([read(OFFSET), read(LENGTH)], [0x1234_5678, 0x1234_5678]);
});

Deno.test("ConfigWindow() refuses configuration space without the capability", () => {
  assertThrows(() => new ConfigWindow(new Uint8Array(256), diskFunction()), TypeError);
});

Deno.test("a program on the v86 machine drives a function through its window alone", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const fn = diskFunction();
  fn.connect(machine.plug(fn));
  const point = (offset: number, length: number) => [
    ...asm.pciWrite(2, OFFSET, 0, offset, 4),
    ...asm.pciWrite(2, LENGTH, 0, length, 4),
  ];
  const kernel = asm.tinyKernel(
    point(STATUS, 1),
    asm.pciWrite(2, DATA, 0, 1, 1),
    asm.pciWrite(2, DATA, 0, 3, 4),
    [...asm.pciRead(2, DATA), ...asm.store(RESULT)],
    point(CONFIG + 4, 4),
    [...asm.pciRead(2, DATA), ...asm.store(RESULT + 4)],
    // Without another word to the address register: what is there now, not what was there.
    asm.pciWrite(2, LENGTH, 0, 2, 1),
    [...asm.inp(0xcfc, 4), ...asm.store(RESULT + 8)],
    // Whose window it is not.
    [...asm.pciRead(0, 0), ...asm.store(RESULT + 12)],
    [...asm.out(0xcf8, 0x8000_0000 | 2 << 11, 4), ...asm.inp(0xcfe, 2), ...asm.store(RESULT + 16)],
    asm.HALT,
  );
  await run(machine, kernel).stopped;
  assertEquals(fn.read(STATUS, 1), 3);
  assertEquals([0, 1, 2, 3, 4].map((i) => result(machine, i)), [
    3,
    0xf807_0605,
    2,
    0x1237_8086,
    0x1042,
  ]);
});

Deno.test("the v86 machine keeps what is read-only in configuration space, and moves a BAR in pieces too", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const { device, log, answer } = recorder(256);
  machine.plug(device);
  answer(0x77);
  const kernel = asm.tinyKernel(
    ...[0x00, 0x08, 0x14, 0x2c, 0x30, 0x34, 0x40, 0xfc].flatMap((at, i) => [
      ...[1, 2, 4].map((width) => asm.pciWrite(2, at, 0, 0xffff_ffff, width as 1 | 2 | 4)),
      [...asm.pciRead(2, at), ...asm.store(RESULT + 4 * i)],
    ]),
    asm.pciWrite(2, 0x10, 0, 0xff, 1),
    asm.pciWrite(2, 0x10, 1, 0xd0, 1),
    [...asm.pciRead(2, 0x10), ...asm.store(RESULT + 32)],
    [...asm.inp(0xd004, 1), ...asm.store(RESULT + 36)],
    asm.HALT,
  );
  await run(machine, kernel).stopped;
  const seen = Array.from({ length: 10 }, (_, i) => result(machine, i));
  assertEquals(seen, [0x1042_1af4, 0, 0, 0, 0, 0, 0, 0, 0xd001, 0x77]);
  assertEquals(log, ["read1 4"]);
});
