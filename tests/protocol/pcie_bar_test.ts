import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ProtocolError } from "../../protocol/errors.ts";
import {
  type Bar,
  barAddress,
  barFlags,
  barKind,
  barMask,
  sizedBar,
} from "../../protocol/pcie/bar.ts";

// PCI Local Bus 3.0 §6.2.5: what each kind of BAR reads as after all ones were written.
const CASES: readonly { bar: Bar; low: number; high: number }[] = [
  {
    bar: { index: 0, kind: "memory64", prefetchable: true, size: 0x1000_0000 },
    low: 0xf000_000c,
    high: 0xffff_ffff,
  },
  {
    bar: { index: 0, kind: "memory64", prefetchable: true, size: 0x2_0000_0000 },
    low: 0x0000_000c,
    high: 0xffff_fffe,
  },
  {
    bar: { index: 4, kind: "memory32", prefetchable: false, size: 0x2_0000 },
    low: 0xfffe_0000,
    high: 0,
  },
  { bar: { index: 2, kind: "io", prefetchable: false, size: 64 }, low: 0xffff_ffc1, high: 0 },
];

for (const { bar, low, high } of CASES) {
  Deno.test(`barMask() and barFlags() make 0x${low.toString(16)}, for ${bar.kind} of ${bar.size}`, () => {
    const mask = barMask(bar);
    assertEquals([(mask.low | barFlags(bar)) >>> 0, mask.high], [low, high]);
  });

  Deno.test(`sizedBar() finds ${bar.kind} of ${bar.size}, for 0x${low.toString(16)}`, () => {
    assertEquals(sizedBar(bar.index, low, high), bar);
  });
}

Deno.test("sizedBar() is undefined when nothing sticks", () => {
  assertEquals(sizedBar(5, 0), undefined);
});

Deno.test("sizedBar() takes an I/O BAR of 16 address bits as the same size", () => {
  assertEquals(sizedBar(2, 0x0000_ffc1)?.size, 64);
});

Deno.test("sizedBar() refuses what no BAR reads as", () => {
  for (
    const [low, high] of [
      [0xfff0_f000, 0], // a hole in the address bits
      [0x0000_0008, 0], // flags and no address bit
      [0x0000_000c, 0], // 64-bit of no size
      [0xffff_0002, 0], // memory below 1 MiB
      [0xf000_000c, 0x0000_ffff], // high half with a hole
    ] as const
  ) assertThrows(() => sizedBar(0, low, high), ProtocolError, "BAR");
});

Deno.test("barAddress() drops the flags, and joins both halves when 64-bit", () => {
  assertEquals(barAddress("memory64", 0x8000_000c, 0x12), 0x12_8000_0000);
  assertEquals(barAddress("memory32", 0xfe00_0008, 0x12), 0xfe00_0000);
  assertEquals(barAddress("io", 0xc041), 0xc040);
});

Deno.test("barKind() knows the three kinds", () => {
  assertEquals([barKind(0x1), barKind(0x8), barKind(0xc)], ["io", "memory32", "memory64"]);
});

Deno.test("sizedBar() undoes barMask() and barFlags() for every size", () => {
  const bars = fc.oneof(
    fc.record({
      index: fc.constant(0),
      kind: fc.constant("memory64" as const),
      prefetchable: fc.boolean(),
      size: fc.integer({ min: 4, max: 51 }).map((n) => 2 ** n),
    }),
    fc.record({
      index: fc.constant(1),
      kind: fc.constant("memory32" as const),
      prefetchable: fc.boolean(),
      size: fc.integer({ min: 4, max: 31 }).map((n) => 2 ** n),
    }),
    fc.record({
      index: fc.constant(2),
      kind: fc.constant("io" as const),
      prefetchable: fc.constant(false),
      size: fc.integer({ min: 2, max: 8 }).map((n) => 2 ** n),
    }),
  );
  fc.assert(fc.property(bars, (bar) => {
    const { low, high } = barMask(bar);
    assertEquals(sizedBar(bar.index, (low | barFlags(bar)) >>> 0, high), bar);
  }));
});
