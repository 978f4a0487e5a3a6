// INTx from a function's line to the card OS's handler.
import { assertEquals } from "@std/assert";
import { v86Machine } from "../../card/machine/v86/machine.ts";
import { memoryBytes, recorder, remapPics, RESULT, result, run } from "../support/v86_rig.ts";
import * as asm from "../support/tiny_kernel.ts";

const IDT = 0x40_0000;
/** Builds an IDT whose entry `vector` leads to `handler`, and loads it. */
const loadIdt = (vector: number, handler: number): number[] => [
  ...asm.movEax(0x10_0000 | handler & 0xffff),
  ...asm.store(IDT + 8 * vector),
  ...asm.movEax((handler & 0xffff_0000 | 0x8e00) >>> 0),
  ...asm.store(IDT + 8 * vector + 4),
  ...asm.movEax(0x07ff | (IDT & 0xffff) << 16),
  ...asm.store(RESULT + 0x100),
  ...asm.movEax(IDT >>> 16),
  ...asm.store(RESULT + 0x104),
  ...[0x0f, 0x01, 0x1d, ...asm.dword(RESULT + 0x100)],
];

/** The first function's interrupt. */
const IRQ = 5;
const HANDLER = asm.CODE + 0x1000;

Deno.test("set() wakes a halted CPU through its interrupt controller", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const { device } = recorder();
  const line = machine.plug({
    ...device,
    read() {
      line.set(false);
      return 0;
    },
  });
  const main = [
    ...loadIdt(0x20 + IRQ, HANDLER),
    ...remapPics(0xffff & ~(1 << IRQ)),
    ...asm.post("W1"),
    ...[...asm.STI, ...asm.HLT, 0xeb, 0xfd], // hlt again after each interrupt
  ];
  const handler = [
    ...asm.inp(0xc000, 1),
    ...asm.out(0x20, 0x20, 1),
    ...[0xff, 0x05, ...asm.dword(RESULT)], // inc dword [RESULT]
    ...asm.post("IR"),
    ...[0x83, 0x3d, ...asm.dword(RESULT), 2], // cmp dword [RESULT], 2
    ...[0x74, 0x01], // je over the iret
    ...asm.IRET,
    ...asm.HALT,
  ];
  const kernel = asm.elf32(asm.CODE, [
    { address: asm.CODE, bytes: main },
    { address: HANDLER, bytes: handler },
  ]);
  // Raised from within an access the first time, from outside the second.
  const { codes, stopped } = run(machine, kernel, (text) => {
    if (text === "W1") line.set(true);
    else if (result(machine, 0) === 1) setTimeout(() => line.set(true));
  });
  await stopped;
  assertEquals(codes, ["W1", "IR", "IR"]);
  assertEquals(result(machine, 0), 2);
});

Deno.test("set() leaves a shared line high while one of its functions asserts it", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const lines = Array.from({ length: 8 }, () => machine.plug(recorder().device));
  // Slots 2 and 9 share: with the lines used up the eighth function gets the first one again.
  const readPending = (
    at: number,
  ) => [...asm.out(0x20, 0x0a, 1), ...asm.inp(0x20, 1), ...asm.store(at)];
  const kernel = asm.tinyKernel(
    [...asm.pciRead(2, 0x3c), ...asm.store(RESULT)],
    [...asm.pciRead(9, 0x3c), ...asm.store(RESULT + 4)],
    remapPics(0xffff),
    ...["A1", "A2", "A3", "A4"].map((text, i) => [
      ...asm.post(text),
      ...readPending(RESULT + 8 + 4 * i),
    ]),
    asm.HALT,
  );
  const [first, last] = [lines[0]!, lines[7]!];
  const steps: Record<string, () => void> = {
    A1: () => first.set(true),
    A2: () => last.set(true),
    A3: () => first.set(false),
    A4: () => last.set(false),
  };
  await run(machine, kernel, (text) => steps[text]!()).stopped;
  assertEquals([result(machine, 0), result(machine, 1)], [0x0105, 0x0105]);
  assertEquals([2, 3, 4, 5].map((i) => result(machine, i) >> IRQ & 1), [1, 1, 1, 0]);
});

Deno.test("set() shows in the PCI status register, and reaches no CPU that disabled INTx", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const line = machine.plug(recorder().device);
  const look = (at: number) => [
    ...[...asm.pciRead(2, 0x04), ...asm.store(at)],
    ...[...asm.out(0x20, 0x0a, 1), ...asm.inp(0x20, 1), ...asm.store(at + 4)],
  ];
  const kernel = asm.tinyKernel(
    remapPics(0xffff),
    asm.post("UP"),
    look(RESULT),
    asm.pciWrite(2, 0x04, 0, 0x0401, 2),
    look(RESULT + 8),
    asm.pciWrite(2, 0x04, 2, 0, 2),
    asm.pciWrite(2, 0x04, 1, 0, 1),
    look(RESULT + 16),
    asm.pciWrite(2, 0x04, 0, 0x0401, 4),
    look(RESULT + 24),
    asm.post("DN"),
    look(RESULT + 32),
    asm.HALT,
  );
  await run(machine, kernel, (text) => line.set(text === "UP")).stopped;
  const seen = [0, 1, 2, 3, 4].map((i) => [
    result(machine, 2 * i),
    result(machine, 2 * i + 1) >> IRQ & 1,
  ]);
  assertEquals(seen, [
    [0x0008_0000, 1],
    [0x0008_0401, 0],
    [0x0008_0001, 1],
    [0x0008_0401, 0],
    [0x0000_0401, 0],
  ]);
});
