import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { V86Memory } from "../../card/machine/v86/memory.ts";
import type { Cpu } from "../../card/machine/v86/v86_types.ts";

const PAGE = 65_536;

function fakeCpu() {
  const wasm_memory = new WebAssembly.Memory({ initial: 4 });
  const dirty: [number, number][] = [];
  const cpu = {
    wasm_memory,
    mem8: new Uint8Array(wasm_memory.buffer, PAGE, 2 * PAGE),
    memory_size: new Uint32Array([2 * PAGE]),
    jit_dirty_cache: (start: number, end: number) => void dirty.push([start, end]),
  } as unknown as Cpu;
  return { cpu, wasm_memory, dirty };
}

Deno.test("bytes() and view() lie where the emulator has card memory, and stay until it moves", () => {
  const { cpu, wasm_memory } = fakeCpu();
  const memory = new V86Memory(cpu);
  assertEquals(memory.size, 2 * PAGE);
  memory.bytes()[5] = 7;
  assertEquals(new Uint8Array(wasm_memory.buffer)[PAGE + 5], 7);
  assertEquals([memory.bytes().length, memory.view().byteLength], [2 * PAGE, 2 * PAGE]);
  assertStrictEquals(memory.bytes(), memory.bytes());
  assertStrictEquals(memory.view(), memory.view());
});

Deno.test("bytes() and view() are made anew when the emulator's memory has grown", () => {
  const { cpu, wasm_memory } = fakeCpu();
  const memory = new V86Memory(cpu);
  const [bytes, view] = [memory.bytes(), memory.view()];
  bytes[1] = 0x55;
  wasm_memory.grow(1);
  assertEquals(bytes.length, 0);
  assertEquals(memory.view().getUint8(1), 0x55);
  assertEquals(memory.bytes()[1], 0x55);
  assertThrows(() => view.getUint8(1), TypeError);
});

Deno.test("written() drops compiled code, for nothing but a range with bytes in it", () => {
  const { cpu, dirty } = fakeCpu();
  const memory = new V86Memory(cpu);
  memory.written(16, 32);
  memory.written(16, 16);
  memory.written(0, memory.size);
  assertEquals(dirty, [[16, 32], [0, memory.size]]);
  for (const [start, end] of [[-1, 4], [8, 4], [0, memory.size + 1], [NaN, 4]] as const) {
    assertThrows(() => memory.written(start, end), RangeError, "as written");
  }
});
