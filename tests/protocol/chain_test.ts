import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DriverError } from "../../protocol/errors.ts";
import type { DriverFault } from "../../protocol/virtio/faults.ts";
import { DESC_F } from "../../protocol/virtio/ring.ts";
import {
  found,
  INDIRECT,
  MEMORY,
  memoryWith,
  type Row,
  SIZE,
  TABLE,
  walkerOf,
  walksAnyBytes,
  walksAsReference,
} from "../support/virtio_properties.ts";

const { NEXT, WRITE, INDIRECT: IND } = DESC_F;

Deno.test("walk() finds readable then writable segments, in chain order and not table order", () => {
  const walker = walkerOf();
  walker.walk(
    memoryWith([[0x20, 2, WRITE], [0x30, 3, NEXT | WRITE, 0], [0x10, 1, NEXT, 1]]),
    2,
  );
  assertEquals(found(walker), { readable: [[0x10, 1]], writable: [[0x30, 3], [0x20, 2]] });
  assertEquals([walker.readableLength, walker.writableLength], [1, 5]);
});

Deno.test("walk() stores segments from base on", () => {
  const walker = walkerOf();
  walker.walk(memoryWith([[0x10, 1]]), 0);
  walker.walk(memoryWith([[0x20, 2]]), 0, 1);
  assertEquals([...walker.addresses.subarray(0, 2)], [0x10, 0x20]);
});

Deno.test("walk() follows an indirect table, whose WRITE flag it ignores", () => {
  const walker = walkerOf();
  const table: Row[] = [[0x10, 1, NEXT, 2], [0x30, 3, WRITE], [0x20, 2, NEXT | WRITE, 1]];
  walker.walk(memoryWith([[INDIRECT, 48, IND | WRITE]], table), 0);
  assertEquals(found(walker), { readable: [[0x10, 1]], writable: [[0x20, 2], [0x30, 3]] });
});

Deno.test("walk() takes descriptors before an indirect table (§2.7.5.3.2)", () => {
  const walker = walkerOf();
  walker.walk(memoryWith([[0x10, 1, NEXT, 1], [INDIRECT, 16, IND]], [[0x20, 2, WRITE]]), 0);
  assertEquals(found(walker), { readable: [[0x10, 1]], writable: [[0x20, 2]] });
});

Deno.test("walk() takes queue size descriptors, direct or indirect", () => {
  const rows: Row[] = [0, 1, 2, 3].map((i) => [0x10, 1, i < 3 ? NEXT : 0, i + 1]);
  const walker = walkerOf();
  walker.walk(memoryWith(rows), 0);
  assertEquals(walker.readableCount, 4);
  walker.walk(memoryWith([[INDIRECT, 64, IND]], rows), 0);
  assertEquals(walker.readableCount, 4);
});

Deno.test("walk() leaves empty descriptors out", () => {
  const walker = walkerOf();
  walker.walk(memoryWith([[0x10, 0, NEXT, 1], [MEMORY, 0, NEXT, 2], [0x20, 2]]), 0);
  assertEquals(found(walker), { readable: [[0x20, 2]], writable: [] });
});

Deno.test("walk() takes a segment up to the last byte of memory", () => {
  const walker = walkerOf();
  walker.walk(memoryWith([[MEMORY - 8, 8, WRITE]]), 0);
  assertEquals(found(walker).writable, [[MEMORY - 8, 8]]);
});

const LONG: Row[] = [0, 1, 2, 3, 4].map((i) => [0x10, 1, i < 4 ? NEXT : 0, i + 1]);
const FAULTS: readonly {
  readonly what: string;
  readonly fault: DriverFault;
  readonly table?: readonly Row[];
  readonly indirect?: readonly Row[];
  readonly head?: number;
  readonly negotiated?: boolean;
}[] = [
  { what: "a head outside the table", fault: "chain-index", head: SIZE },
  { what: "a next outside the table", fault: "chain-index", table: [[0, 1, NEXT, SIZE]] },
  {
    what: "a next outside the indirect table",
    fault: "chain-index",
    table: [[INDIRECT, 32, IND]],
    indirect: [[0, 1, NEXT, 2], [0, 1]],
  },
  { what: "a descriptor that is its own next", fault: "chain-loop", table: [[0, 1, NEXT, 0]] },
  {
    what: "a loop of empty descriptors",
    fault: "chain-loop",
    table: [[0, 0, NEXT, 1], [0, 0, NEXT, 0]],
  },
  {
    what: "a loop in an indirect table",
    fault: "chain-loop",
    table: [[INDIRECT, 16, IND]],
    indirect: [[0, 1, NEXT, 0]],
  },
  {
    what: "an indirect table walked past the queue size",
    fault: "chain-loop",
    table: [[INDIRECT, 80, IND]],
    indirect: LONG,
  },
  {
    what: "direct and indirect descriptors past the queue size together",
    fault: "chain-loop",
    table: [[0, 1, NEXT, 1], [INDIRECT, 64, IND]],
    indirect: LONG.slice(1).map(([a, l, f], i) => [a, l, f!, i + 1]),
  },
  {
    what: "device-readable after device-writable",
    fault: "chain-order",
    table: [[0, 1, WRITE | NEXT, 1], [0, 1]],
  },
  {
    what: "device-readable after an empty device-writable one",
    fault: "chain-order",
    table: [[0, 0, WRITE | NEXT, 1], [0, 1]],
  },
  { what: "a length past memory", fault: "chain-address", table: [[MEMORY - 8, 9]] },
  { what: "an address past memory", fault: "chain-address", table: [[MEMORY + 1, 0]] },
  {
    what: "an indirect table past memory",
    fault: "chain-address",
    table: [[MEMORY - 16, 32, IND]],
  },
  {
    what: "an indirect table that was not negotiated",
    fault: "chain-indirect",
    table: [[INDIRECT, 16, IND]],
    indirect: [[0, 1]],
    negotiated: false,
  },
  {
    what: "an indirect table inside another",
    fault: "chain-indirect",
    table: [[INDIRECT, 32, IND]],
    indirect: [[INDIRECT + 16, 16, IND], [0, 1]],
  },
  {
    what: "INDIRECT with NEXT",
    fault: "chain-indirect",
    table: [[INDIRECT, 16, IND | NEXT, 1], [0, 1]],
    indirect: [[0, 1]],
  },
  { what: "an empty indirect table", fault: "chain-indirect", table: [[INDIRECT, 0, IND]] },
  { what: "an indirect table of 24 bytes", fault: "chain-indirect", table: [[INDIRECT, 24, IND]] },
];
for (const { what, fault, table = [], indirect, head = 0, negotiated } of FAULTS) {
  Deno.test(`walk() refuses ${what}`, () => {
    const memory = memoryWith(table, indirect);
    const error = assertThrows(() => walkerOf(negotiated).walk(memory, head), DriverError);
    assertEquals(error.fault, fault);
  });
}

Deno.test("walk() refuses an address past 2^52", () => {
  const memory = memoryWith([[0, 1]]);
  memory.setUint32(TABLE + 4, 0x10_0000, true);
  const error = assertThrows(() => walkerOf().walk(memory, 0), DriverError);
  assertEquals(error.fault, "chain-address");
});

Deno.test("walk() refuses 2^32 bytes in all, and takes one less", () => {
  const half = 0x8000_0000;
  const walker = walkerOf(true, half);
  walker.walk(memoryWith([[0, half, NEXT, 1], [0, half - 1, WRITE]]), 0);
  assertEquals(walker.readableLength + walker.writableLength, 2 ** 32 - 1);
  const memory = memoryWith([[0, half, NEXT, 1], [0, half, WRITE]]);
  assertEquals(assertThrows(() => walker.walk(memory, 0), DriverError).fault, "chain-length");
});

Deno.test("walk() agrees with the reference on any table, in bounded steps, inside memory", () => {
  let whole = 0;
  fc.assert(walksAsReference(() => whole++), { seed: 20, numRuns: 3000 });
  assert(whole > 100, `only ${whole} chains were whole`);
});

Deno.test("walk() refuses or stays inside memory, whatever the bytes", () => {
  fc.assert(walksAnyBytes(), { seed: 21, numRuns: 1000 });
});
