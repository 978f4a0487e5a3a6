import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DriverError } from "../../protocol/errors.ts";
import { viewOf } from "../../protocol/layout.ts";
import { ChainWalker } from "../../protocol/virtio/chain.ts";
import type { DriverFault } from "../../protocol/virtio/faults.ts";
import { DESC_F, VIRTQ_DESC } from "../../protocol/virtio/ring.ts";
import type { Descriptor } from "../support/ring_driver.ts";

const SIZE = 4;
const TABLE = 0x100;
const INDIRECT = 0x400;
const MEMORY = 0x1000;
const RING = { size: SIZE, descriptorTable: TABLE, availableRing: 0, usedRing: 0x40 };
const { NEXT, WRITE, INDIRECT: IND } = DESC_F;

/** addr, len, flags, next. */
type Row = readonly [addr: number, len: number, flags?: number, next?: number];

function memoryWith(table: readonly Row[], indirect: readonly Row[] = []): DataView {
  const view = new DataView(new ArrayBuffer(MEMORY));
  const write = (rows: readonly Row[], at: number) =>
    rows.forEach(([addr, len, flags = 0, next = 0], i) =>
      VIRTQ_DESC.write(view, { addr, len, flags, next }, at + 16 * i)
    );
  write(table, TABLE);
  write(indirect, INDIRECT);
  return view;
}

function walkerOf(indirect = true, memorySize = MEMORY): ChainWalker {
  return new ChainWalker({ ring: RING, memorySize, indirect, capacity: 2 * SIZE });
}

/** What the walker found, as [address, length] pairs. */
function found(walker: ChainWalker, base = 0) {
  const piece = (i: number) => [walker.addresses[i]!, walker.lengths[i]!];
  const { readableCount, writableCount } = walker;
  const all = Array.from({ length: readableCount + writableCount }, (_, i) => piece(base + i));
  return { readable: all.slice(0, readableCount), writable: all.slice(readableCount) };
}

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

/** The rules written down without regard to cost: the whole chain as a list first, then what is wrong with it. */
function reference(view: DataView, head: number): ReturnType<typeof found> | DriverFault {
  const row = (table: number, i: number): Descriptor => VIRTQ_DESC.read(view, table + 16 * i);
  const chain: Descriptor[] = [];
  let [table, count, index, inside] = [TABLE, SIZE, head, false];
  while (true) {
    if (index >= count) return "chain-index";
    const descriptor = row(table, index);
    if (descriptor.addr + descriptor.len > MEMORY) return "chain-address";
    if (descriptor.flags & IND) {
      const { flags, len } = descriptor;
      if (inside || (flags & NEXT) || len === 0 || len % 16) return "chain-indirect";
      [table, count, index, inside] = [descriptor.addr, len / 16, 0, true];
      continue;
    }
    if (chain.length === SIZE) return "chain-loop";
    chain.push(descriptor);
    const kinds = chain.map((d) => (d.flags & WRITE ? "w" : "r")).join("");
    if (kinds.includes("wr")) return "chain-order";
    if (!(descriptor.flags & NEXT)) break;
    index = descriptor.next;
  }
  const pieces = (write: number) =>
    chain.filter((d) => (d.flags & WRITE) === write && d.len > 0).map((d) => [d.addr, d.len]);
  return { readable: pieces(0), writable: pieces(WRITE) };
}

/** Counts the 16-bit reads of a view: flags and next. */
function countReads(view: DataView): () => number {
  let reads = 0;
  const get = view.getUint16.bind(view);
  view.getUint16 = (at, little) => {
    reads++;
    return get(at, little);
  };
  return () => reads;
}

Deno.test("walk() agrees with the reference on any table, in bounded steps, inside memory", () => {
  const address = fc.oneof(
    fc.constantFrom(INDIRECT, INDIRECT + 16, TABLE, MEMORY - 16, MEMORY),
    fc.integer({ min: 0, max: MEMORY + 8 }),
  );
  const length = fc.oneof(fc.constantFrom(0, 1, 16, 48, 64, 80), fc.nat(MEMORY));
  const flags = fc.constantFrom(0, NEXT, NEXT, WRITE, NEXT | WRITE, NEXT | WRITE, IND, IND | NEXT);
  const descriptor = fc.tuple(address, length, flags, fc.integer({ min: 0, max: SIZE + 1 }));
  let whole = 0;
  fc.assert(
    fc.property(
      fc.array(descriptor, { minLength: SIZE, maxLength: SIZE }),
      fc.array(descriptor, { minLength: 6, maxLength: 6 }),
      fc.integer({ min: 0, max: SIZE }),
      (table, indirect, head) => {
        const memory = memoryWith(table, indirect);
        const expected = reference(memory, head);
        const walker = walkerOf();
        const reads = countReads(memory);
        try {
          walker.walk(memory, head);
        } catch (error) {
          assert(error instanceof DriverError);
          assertEquals(error.fault, expected);
          return;
        } finally {
          // Flags and next of each buffer, one more for the table and the descriptor too many.
          assert(reads() <= 2 * SIZE + 2, `${reads()} reads`);
        }
        assertEquals<unknown>(found(walker), expected);
        whole++;
      },
    ),
    { numRuns: 2000 },
  );
  assert(whole > 100, `only ${whole} chains were whole`);
});

Deno.test("walk() refuses or stays inside memory, whatever the bytes", () => {
  fc.assert(fc.property(
    fc.uint8Array({ minLength: 0x300, maxLength: 0x300 }),
    fc.nat(0xffff),
    (bytes, head) => {
      const memory = new Uint8Array(MEMORY);
      memory.set(bytes, TABLE);
      const walker = walkerOf();
      try {
        walker.walk(viewOf(memory), head);
      } catch (error) {
        return error instanceof DriverError;
      }
      const { readable, writable } = found(walker);
      return [...readable, ...writable].every(([at, length]) => at! + length! <= MEMORY);
    },
  ));
});
