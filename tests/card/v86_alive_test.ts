// Signs of life of a card OS, and its clock.
import { assertEquals } from "@std/assert";
import { v86Machine } from "../../card/machine/v86/machine.ts";
import * as asm from "../support/tiny_kernel.ts";
import { memoryBytes, RESULT, result, run } from "../support/v86_rig.ts";

/** Writes ever new POST codes. */
const COUNTING = [
  ...asm.movEdx(0x280),
  ...[0x40], // inc eax
  ...asm.OUT[2],
  ...[0xeb, 0xfb], // back to inc
];
/** No interrupt of the timer, for which there is no handler. */
const MASKED = [...asm.out(0x21, 0xff, 1), ...asm.out(0xa1, 0xff, 1)];

/** Resolves with `alive()` as asked every time some slices have gone by: `count` times. */
async function asks(code: readonly number[], count: number): Promise<boolean[]> {
  await using machine = await v86Machine({ memoryBytes });
  const answers: boolean[] = [];
  const done = Promise.withResolvers<void>();
  let codes = 0;
  run(machine, asm.tinyKernel([...code]), () => {
    // A slice is 100 000 instructions; a POST code is three.
    if (++codes % 200_000 !== 0) return;
    answers.push(machine.alive!());
    if (answers.length === count) done.resolve();
  });
  await done.promise;
  return answers.slice(1);
}

Deno.test("alive() is false when the CPU runs with interrupts off, once it was asked", async () => {
  assertEquals(await asks([...asm.CLI, ...COUNTING], 4), [false, false, false]);
});

Deno.test("alive() is true when the CPU runs with interrupts on", async () => {
  assertEquals(await asks([...MASKED, ...asm.STI, ...COUNTING], 4), [true, true, true]);
});

Deno.test("alive() is true when the CPU is halted and waits for an interrupt", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const halting = Promise.withResolvers<void>();
  run(
    machine,
    asm.tinyKernel(MASKED, asm.STI, asm.post("HL"), asm.HLT, asm.SPIN),
    () => halting.resolve(),
  );
  await halting.promise;
  assertEquals([machine.alive!(), machine.alive!()], [true, true]);
});

/** Register `index` of the real-time clock, into result `n`. */
const readClock = (index: number, n: number): number[] => [
  ...asm.out(0x70, index, 1),
  ...asm.inp(0x71, 1),
  ...asm.store(RESULT + 4 * n),
];

Deno.test("setClock() sets the real-time clock, which counts UTC in BCD", async () => {
  await using machine = await v86Machine({ memoryBytes });
  machine.setClock!(Date.UTC(2031, 1, 28, 23, 58, 7));
  const registers = [0x07, 0x08, 0x09, 0x32, 0x04, 0x02];
  await run(machine, asm.tinyKernel(...registers.map(readClock), asm.HALT)).stopped;
  assertEquals(registers.map((_, n) => result(machine, n).toString(16)), [
    ...["28", "2", "31", "20", "23", "58"],
  ]);
});
