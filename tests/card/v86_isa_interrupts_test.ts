import { assertEquals } from "@std/assert";
import { IsaInterrupts } from "../../card/machine/v86/isa_interrupts.ts";
import type { Cpu } from "../../card/machine/v86/v86_types.ts";

function harness() {
  const log: string[] = [];
  const cpu = {
    device_raise_irq: (irq: number) => void log.push(`+${irq}`),
    device_lower_irq: (irq: number) => void log.push(`-${irq}`),
  } as Cpu;
  return { interrupts: new IsaInterrupts(cpu), log };
}

Deno.test("allocate() gives each function a line while lines last, then shares them", () => {
  const { interrupts } = harness();
  // 3 and 7: what may come later.
  assertEquals(interrupts.levelTriggered, 0b1000_1000);
  const given = Array.from({ length: 9 }, () => interrupts.allocate().irq);
  assertEquals(given, [5, 9, 10, 11, 14, 15, 6, 5, 9]);
  assertEquals(interrupts.levelTriggered, 0b1100_1110_1110_1000);
});

Deno.test("set() passes on edges of its line only", () => {
  const { interrupts, log } = harness();
  const { line } = interrupts.allocate();
  for (const level of [false, true, true, false, false, true]) line.set(level);
  assertEquals(log, ["+5", "-5", "+5"]);
});

Deno.test("set() lowers a shared line with the last of its functions", () => {
  const { interrupts, log } = harness();
  const [first] = Array.from({ length: 7 }, () => interrupts.allocate().line);
  const second = interrupts.allocate().line;
  first!.set(true);
  second.set(true);
  first!.set(false);
  assertEquals(log, ["+5"]);
  second.set(false);
  assertEquals(log, ["+5", "-5"]);
});

Deno.test("forPort() and forHotFunction() share two lines that nothing else has", () => {
  const { interrupts, log } = harness();
  const ports = [interrupts.forPort(), interrupts.forPort()];
  const functions = [interrupts.forHotFunction(), interrupts.forHotFunction()];
  assertEquals([...ports, ...functions].map(({ irq }) => irq), [3, 3, 7, 7]);
  for (const { line } of [...ports, ...functions]) line.set(true);
  for (const { line } of [...ports, ...functions]) line.set(false);
  assertEquals(log, ["+3", "+7", "-3", "-7"]);
});
