import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { SystemMemory, WINDOW_BASE } from "../../host/driver/system_memory.ts";
import { UnsupportedRequest } from "../../protocol/mod.ts";

const BOTH = { cardMayRead: true, cardMayWrite: true };

Deno.test("SystemMemory.map() hands out pages from 512 GiB upward with a guard page between", () => {
  const memory = new SystemMemory();
  assertEquals(WINDOW_BASE, 0x80_0000_0000);
  assertEquals(memory.map(1, BOTH).address, 0x80_0000_0000);
  assertEquals(memory.map(4096, BOTH).address, 0x80_0000_2000);
  assertEquals(memory.map(4097, BOTH).address, 0x80_0000_4000);
  assertEquals(memory.map(16, BOTH).address, 0x80_0000_7000);
});

Deno.test("SystemMemory.map() refuses a length that is no positive integer", () => {
  for (const length of [0, -1, 1.5, NaN]) {
    assertThrows(() => new SystemMemory().map(length, BOTH), RangeError, "wanted a positive");
  }
});

Deno.test("SystemMemory.write() and read() reach the region's own bytes", () => {
  const memory = new SystemMemory();
  const region = memory.map(8, BOTH);
  memory.write(region.address + 6, Uint8Array.of(1, 2));
  assertEquals(region.bytes, Uint8Array.of(0, 0, 0, 0, 0, 0, 1, 2));
  const into = new Uint8Array(3);
  memory.read(region.address + 5, into);
  assertEquals(into, Uint8Array.of(0, 1, 2));
});

Deno.test("SystemMemory refuses what crosses the end of a region, even inside its last page", () => {
  const memory = new SystemMemory();
  const { address } = memory.map(8, BOTH);
  memory.write(address, new Uint8Array(8));
  assertThrows(() => memory.write(address, new Uint8Array(9)), UnsupportedRequest, "not mapped");
  assertThrows(() => memory.write(address + 8, Uint8Array.of(1)), UnsupportedRequest);
  assertThrows(() => memory.write(address - 1, Uint8Array.of(1)), UnsupportedRequest);
  assertThrows(() => memory.read(Infinity, new Uint8Array(1)), UnsupportedRequest);
  assertThrows(() => memory.read(NaN, new Uint8Array(1)), UnsupportedRequest);
});

Deno.test("SystemMemory refuses a direction that the region was not mapped for", () => {
  const memory = new SystemMemory();
  const writable = memory.map(8, { cardMayRead: false, cardMayWrite: true });
  const readable = memory.map(8, { cardMayRead: true, cardMayWrite: false });
  memory.write(writable.address, Uint8Array.of(1));
  memory.read(readable.address, new Uint8Array(1));
  assertThrows(
    () => memory.read(writable.address, new Uint8Array(1)),
    UnsupportedRequest,
    "Cannot read 1 bytes of system memory at 0x8000000000: mapped without read access",
  );
  assertThrows(
    () => memory.write(readable.address, Uint8Array.of(1)),
    UnsupportedRequest,
    "mapped without write access",
  );
});

Deno.test("SystemMemory refuses a region after it was disposed, and never reuses its address", () => {
  const memory = new SystemMemory();
  const region = memory.map(8, BOTH);
  memory.write(region.address, Uint8Array.of(1));
  region[Symbol.dispose]();
  assertThrows(() => memory.write(region.address, Uint8Array.of(1)), UnsupportedRequest);
  const later = memory.map(8, BOTH);
  assertEquals(later.address > region.address, true);
  region[Symbol.dispose]();
  assertEquals(memory.regions, 1);
});

Deno.test("SystemMemory finds exactly the region that a linear search finds", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 12 });
  const access = fc.record({
    page: fc.integer({ min: -1, max: 40 }),
    offset: fc.integer({ min: 0, max: 4095 }),
    length: fc.integer({ min: 0, max: 6000 }),
  });
  fc.assert(fc.property(sizes, fc.array(access, { maxLength: 40 }), (lengths, accesses) => {
    const memory = new SystemMemory();
    const regions = lengths.map((length) => memory.map(length, BOTH));
    regions.forEach((region, n) => n % 3 === 2 && region[Symbol.dispose]());
    const live = regions.filter((_, n) => n % 3 !== 2);
    for (const { page, offset, length } of accesses) {
      const address = WINDOW_BASE + page * 4096 + offset;
      const home = live.find((r) =>
        address >= r.address && address + length <= r.address + r.bytes.length
      );
      let reached = true;
      try {
        memory.write(address, new Uint8Array(length).fill(7));
      } catch (error) {
        if (!(error instanceof UnsupportedRequest)) throw error;
        reached = false;
      }
      assertEquals(reached, home !== undefined);
      if (home && length > 0) assertEquals(home.bytes[address - home.address], 7);
    }
  }));
});

Deno.test("SystemMemory changes what a write names, whole and inside one writable region, and nothing else", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 8 });
  const write = fc.record({
    // From the ends of regions, of the window and of all addresses.
    anchor: fc.nat(19),
    delta: fc.oneof(fc.integer({ min: -40, max: 40 }), fc.integer({ min: -9000, max: 9000 })),
    length: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 20_000 })),
    value: fc.integer({ min: 1, max: 255 }),
  });
  fc.assert(fc.property(sizes, fc.array(write, { maxLength: 60 }), (lengths, writes) => {
    const memory = new SystemMemory();
    const regions = lengths.map((length, n) =>
      memory.map(length, { cardMayRead: true, cardMayWrite: n % 4 !== 3 })
    );
    const model = regions.map(({ bytes }) => bytes.slice());
    const anchors = [
      ...regions.flatMap(({ address, bytes }) => [address, address + bytes.length]),
      WINDOW_BASE,
      0,
      2 ** 52 - 1,
      2 ** 52,
    ];
    for (const { anchor, delta, length, value } of writes) {
      const address = anchors[anchor % anchors.length]! + delta;
      const bytes = new Uint8Array(length).fill(value);
      const home = regions.findIndex((r, n) =>
        n % 4 !== 3 && address >= r.address && address + length <= r.address + r.bytes.length
      );
      if (home >= 0) model[home]!.set(bytes, address - regions[home]!.address);
      try {
        memory.write(address, bytes);
        assert(home >= 0, `${length} bytes at ${address} went through`);
      } catch (error) {
        if (!(error instanceof UnsupportedRequest)) throw error;
        assert(home < 0, `${length} bytes at ${address} were refused`);
      }
    }
    assertEquals(regions.map(({ bytes }) => bytes), model);
  }));
});
