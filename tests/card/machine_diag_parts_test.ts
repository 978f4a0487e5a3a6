import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Board } from "../../card/machine/diag/board.ts";
import { PciBus } from "../../card/machine/diag/pci_bus.ts";
import { Heap, OutOfMemory } from "../../card/machine/diag/os/heap.ts";
import { tokenize } from "../../card/machine/diag/os/shell.ts";
import { formatSize, parseSize, UsageError } from "../../card/machine/diag/os/commands/types.ts";
import type { PciFunction } from "../../card/machine/types.ts";
import { DiagRig } from "../support/diag_rig.ts";
import { LoopbackDisk } from "../support/loopback_models.ts";

function fakeFunction(barSize = 0x100): PciFunction & { log: string[] } {
  const log: string[] = [];
  const pciConfig = new Uint8Array(256);
  pciConfig.set([0xf4, 0x1a, 0x42, 0x10]);
  return {
    name: "fake",
    pciConfig,
    barSize,
    log,
    read: (offset, width) => {
      log.push(`read ${offset} ${width}`);
      return 0x5a;
    },
    write: (offset, width, value) => log.push(`write ${offset} ${width} ${value}`),
  };
}
const SLOT0 = 0x8000_0000;

Deno.test("PciBus shows configuration space by mechanism #1, and all ones where nobody is", () => {
  const bus = new PciBus(() => {});
  bus.plug(fakeFunction());
  bus.write(0xcf8, 4, SLOT0);
  assertEquals(bus.read(0xcf8, 4), SLOT0);
  assertEquals(bus.read(0xcfc, 4), 0x10421af4);
  assertEquals(bus.read(0xcfe, 2), 0x1042);
  for (const address of [0, SLOT0 | 1 << 11, SLOT0 | 1 << 8, SLOT0 | 1 << 16]) {
    bus.write(0xcf8, 4, address);
    assertEquals(bus.read(0xcfc, 4), 0xffff_ffff);
  }
});

Deno.test("PciBus sizes a BAR by all ones, and keeps read-only registers", () => {
  const bus = new PciBus(() => {});
  const fn = fakeFunction(0x200);
  bus.plug(fn);
  bus.write(0xcf8, 4, SLOT0 | 0x10);
  assertEquals(bus.read(0xcfc, 4), 1, "an I/O BAR at 0");
  bus.write(0xcfc, 4, 0xffff_ffff);
  assertEquals(bus.read(0xcfc, 4), 0xffff_fe01);
  bus.write(0xcf8, 4, SLOT0);
  bus.write(0xcfc, 4, 0);
  assertEquals(bus.read(0xcfc, 4), 0x10421af4);
});

Deno.test("PciBus decodes a BAR only where it is and while the command register says so", () => {
  const bus = new PciBus(() => {});
  const fn = fakeFunction();
  bus.plug(fn);
  bus.write(0xcf8, 4, SLOT0 | 0x10);
  bus.write(0xcfc, 4, 0x2000);
  assertEquals(bus.read(0x2004, 2), 0xffff, "not enabled");
  bus.write(0xcf8, 4, SLOT0 | 0x04);
  bus.write(0xcfc, 2, 1);
  assertEquals(bus.read(0x2004, 2), 0x5a);
  bus.write(0x20ff, 1, 7);
  bus.write(0x2100, 1, 7);
  assertEquals(bus.read(0x1fff, 1), 0xff);
  assertEquals(fn.log, ["read 4 2", "write 255 1 7"]);
});

Deno.test("PciBus routes INTx to the number in the interrupt line register, edge by edge", () => {
  const log: string[] = [];
  const bus = new PciBus((number, asserted) => log.push(`${number} ${asserted}`));
  const line = bus.plug(fakeFunction());
  bus.write(0xcf8, 4, SLOT0 | 0x3c);
  bus.write(0xcfc, 1, 19);
  line.set(true);
  line.set(true);
  line.set(false);
  assertEquals(log, ["19 true", "19 false"]);
});

Deno.test("PciBus shows INTx in the status register, and holds it back while the command register says so", () => {
  const log: boolean[] = [];
  const bus = new PciBus((_number, asserted) => log.push(asserted));
  const line = bus.plug(fakeFunction());
  const status = () => bus.read(0xcfe, 2);
  bus.write(0xcf8, 4, SLOT0 | 0x04);
  line.set(true);
  assertEquals([status(), log], [0x08, [true]]);
  bus.write(0xcfc, 2, 0x0401);
  assertEquals([status(), log], [0x08, [true, false]]);
  line.set(false);
  line.set(true);
  bus.write(0xcfe, 2, 0);
  assertEquals([status(), log.length], [0x08, 2]);
  bus.write(0xcfc, 4, 1);
  assertEquals([status(), log], [0x08, [true, false, true]]);
  line.set(false);
  assertEquals([status(), log.at(-1)], [0, false]);
});

Deno.test("PciBus.plug() refuses a 33rd function", () => {
  const bus = new PciBus(() => {});
  for (let i = 0; i < 32; i++) bus.plug(fakeFunction());
  assertThrows(() => bus.plug(fakeFunction()), RangeError, "32 functions");
});

Deno.test("Board takes an interrupt after the code that raised it, and again while the line is up", async () => {
  const board = new Board(4096);
  const line = board.plug(fakeFunction());
  const log: string[] = [];
  line.set(true);
  await Promise.resolve();
  let left = 3;
  board.onInterrupt(0, () => {
    log.push("taken");
    if (--left === 0) line.set(false);
  });
  log.push("before");
  for (let i = 0; i < 5; i++) await Promise.resolve();
  assertEquals(log, ["before", "taken", "taken", "taken"]);
});

Deno.test('Board stops with "crashed", when an interrupt handler throws', async () => {
  const board = new Board(4096);
  const stopped = Promise.withResolvers<string>();
  board.start({
    stopped: (reason, detail) => stopped.resolve(`${reason}: ${detail}`),
    postCode() {},
  });
  board.onInterrupt(0, () => {
    throw new TypeError("broken driver");
  });
  board.plug(fakeFunction()).set(true);
  assertEquals(await stopped.promise, "crashed: interrupt 0: TypeError: broken driver");
  assertEquals(board.stopped, true);
});

Deno.test("Heap never hands out a byte twice, and gets all of it back", () => {
  const memory = new Uint8Array(65_536);
  const step = fc.record({
    length: fc.integer({ min: 1, max: 5000 }),
    align: fc.constantFrom(1, 16, 64, 4096),
    release: fc.boolean(),
    which: fc.nat(),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const heap = new Heap(memory, 4096);
    const all = heap.available;
    const blocks: { address: number; length: number }[] = [];
    for (const { length, align, release, which } of steps) {
      if (release && blocks.length > 0) {
        heap.release(blocks.splice(which % blocks.length, 1)[0]!);
        continue;
      }
      let block;
      try {
        block = heap.allocate(length, align);
      } catch (error) {
        if (error instanceof OutOfMemory) continue;
        throw error;
      }
      assertEquals(block.address % align, 0);
      assertEquals(block.address >= 4096 && block.address + length <= memory.length, true);
      for (const other of blocks) {
        const apart = other.address + other.length <= block.address ||
          block.address + length <= other.address;
        assertEquals(apart, true);
      }
      blocks.push(block);
    }
    for (const block of blocks) heap.release(block);
    assertEquals(heap.available, all);
    assertEquals(heap.allocate(all, 1).address, 4096, "in one piece");
  }));
});

Deno.test("Heap.allocate() gives zeros, and throws when nothing fits", () => {
  const memory = new Uint8Array(8192).fill(0xff);
  const heap = new Heap(memory, 4096);
  const block = heap.allocate(64);
  assertEquals(heap.bytes(block.address, 65), Uint8Array.of(...new Array(64).fill(0), 0xff));
  assertThrows(() => heap.allocate(4096), OutOfMemory, "Cannot allocate 4096 bytes");
});

Deno.test("tokenize() splits words, quotes and operators", () => {
  const words = (line: string) =>
    tokenize(line).map((token) => "word" in token ? token.word : [token.operator]);
  assertEquals(words('  a  \'b "c\' "" d"e f"g '), ["a", 'b "c', "", "de fg"]);
  assertEquals(words("a;b&&c\nd"), ["a", [";"], "b", ["&&"], "c", [";"], "d"]);
  assertEquals(words("a&b"), ["a&b"]);
  assertThrows(() => tokenize("echo 'open"), UsageError, "no closing '");
});

Deno.test("parseSize() and formatSize() know k, M and G", () => {
  assertEquals(["512", "4k", "1M", "2G"].map(parseSize), [512, 4096, 2 ** 20, 2 ** 31]);
  for (const text of ["", "k", "-1", "1.5k", "4kb", "9".repeat(20)]) {
    assertThrows(() => parseSize(text), UsageError);
  }
  assertEquals([0, 1023, 1536, 64 * 2 ** 20].map(formatSize), ["0B", "1023B", "1.5K", "64M"]);
});

Deno.test("a device that refuses our features is left alone, and the OS goes on", async () => {
  await using rig = new DiagRig([new LoopbackDisk(8), new LoopbackDisk(16)], 0n).boot();
  await rig.machine.os.ready;
  assertEquals(rig.machine.os.disks, []);
  const refused = (slot: number) => `Cannot drive slot ${slot}: it refused our features`;
  assertEquals(rig.machine.os.log, [refused(0), refused(1)]);
  assertEquals(rig.serial, `${refused(0)}\r\n${refused(1)}\r\n`);
  assertEquals(rig.devices[0]!.fn.status, 0x83);
});

Deno.test("a disk without a queue is left alone, and the OS goes on", async () => {
  await using rig = new DiagRig([new LoopbackDisk(8, 0), new LoopbackDisk(16)]).boot();
  await rig.machine.os.ready;
  assertEquals(rig.machine.os.disks.map(({ name, sectors }) => `${name} ${sectors}`), ["vda 16"]);
});

Deno.test("a small ring still carries large requests", async () => {
  const model = new LoopbackDisk(4096, 4);
  await using rig = new DiagRig([model], 1n << 32n).boot();
  await rig.machine.os.ready;
  const data = new Uint8Array(1 << 20).map((_, i) => i % 255);
  await rig.machine.os.disk.write(0, data);
  assertEquals(await rig.machine.os.disk.read(0, 2048), data);
  await assertRejects(() => rig.machine.os.disk.write(0, new Uint8Array(5)), RangeError);
});
