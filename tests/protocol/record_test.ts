import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { parsesAnyRecord } from "../support/virtio_properties.ts";
import { DriverError } from "../../protocol/errors.ts";
import { viewOf } from "../../protocol/layout.ts";
import {
  ChainRecord,
  encodeRecordHeader,
  minStagingLength,
  recordSize,
} from "../../protocol/virtio/record.ts";

// deno-fmt-ignore
const GOLDEN = new Uint8Array([
  0x05, 0x00,  0x01, 0x00,  0x02, 0x00,  0x00, 0x00, // head 5, 1 readable listed, 2 writable
  0x00, 0x20, 0x00, 0x00,  0x04, 0x00, 0x00, 0x00,   // 8192 readable bytes, 4 pushed
  0x00, 0x10, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,  0x00, 0x20, 0x00, 0x00,  0, 0, 0, 0, // 8192 at 0x1_0000_1000
  0x00, 0x40, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  0x00, 0x02, 0x00, 0x00,  0, 0, 0, 0, // 512 at 0x4000
  0xff, 0x4f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  0x01, 0x00, 0x00, 0x00,  0, 0, 0, 0, // 1 at 0x4fff
  0xde, 0xad, 0xbe, 0xef,
]);
const SEGMENTS = {
  addresses: Float64Array.of(0, 0x1_0000_1000, 0x4000, 0x4fff),
  lengths: Uint32Array.of(0, 8192, 512, 1),
};
const MEMORY = 2 ** 33;

Deno.test("encodeRecordHeader() makes the golden bytes", () => {
  const bytes = new Uint8Array(GOLDEN.length + 3);
  const header = {
    head: 5,
    readableCount: 1,
    writableCount: 2,
    readableLength: 8192,
    pushedLength: 4,
  };
  assertEquals(encodeRecordHeader(viewOf(bytes), 3, header, SEGMENTS, 1), 3 + 64);
  bytes.set([0xde, 0xad, 0xbe, 0xef], 67);
  assertEquals(bytes.subarray(3), GOLDEN);
});

Deno.test("ChainRecord.parse() reads the golden bytes", () => {
  const staging = new Uint8Array(160);
  staging.set(GOLDEN, 80);
  const record = new ChainRecord();
  record.parse(viewOf(staging), 80, 8, MEMORY);
  assertEquals([...record.addresses.subarray(0, 3)], [0x1_0000_1000, 0x4000, 0x4fff]);
  assertEquals([...record.lengths.subarray(0, 3)], [8192, 512, 1]);
  const { head, readableCount, writableCount, readableLength, writableLength } = record;
  assertEquals(
    { head, readableCount, writableCount, readableLength, writableLength },
    { head: 5, readableCount: 1, writableCount: 2, readableLength: 8192, writableLength: 513 },
  );
  assertEquals([record.pushedOffset, record.pushedLength], [144, 4]);
});

Deno.test("recordSize() is rounded up to 16", () => {
  assertEquals(recordSize(0, 0), 16);
  assertEquals(recordSize(2, 1), 64);
  assertEquals(recordSize(2, 16), 64);
  assertEquals(minStagingLength(256), 16 + 256 * 16);
});

/** One byte of the golden record changed each, or another place or world for it. */
const BAD: readonly {
  readonly what: string;
  readonly set?: readonly [at: number, ...bytes: number[]];
  readonly also?: readonly [at: number, ...bytes: number[]];
  readonly offset?: number;
  readonly place?: number;
  readonly size?: number;
  readonly memory?: number;
}[] = [
  { what: "an offset that is not aligned", offset: 8, place: 8 },
  { what: "an offset past staging", offset: 96 },
  { what: "an offset far past staging", offset: 0xffff_fff0 },
  { what: "a head outside the queue", set: [0, 8] },
  { what: "more segments than the queue has entries", size: 2, set: [0, 0] },
  { what: "a count that leaves staging", set: [4, 6], size: 8 },
  { what: "more pushed than there is", set: [8, 2, 0], also: [24, 2, 0] },
  { what: "pushed bytes that leave staging", set: [12, 17] },
  { what: "listed segments with nothing left to fetch", set: [8, 4, 0] },
  { what: "nothing listed and something left to fetch", set: [2, 0, 0, 3] },
  { what: "listed segments shorter than the readable length", set: [8, 1] },
  { what: "listed segments longer than the readable length", set: [25, 0x21] },
  { what: "an empty segment", set: [56, 0] },
  { what: "a segment past card memory", memory: 0x1_0000_2fff },
  { what: "a segment past 2^52", set: [39, 1] },
  {
    what: "2^32 bytes in all",
    set: [40, 0x00, 0xe0, 0xff, 0xff],
  },
];
for (const { what, set, also, place = 0, offset = 0, size = 8, memory = MEMORY } of BAD) {
  Deno.test(`ChainRecord.parse() refuses ${what}`, () => {
    const staging = new Uint8Array(80 + place);
    staging.set(GOLDEN, place);
    for (const change of [set, also]) if (change) staging.set(change.slice(1), change[0]);
    const parse = () => new ChainRecord().parse(viewOf(staging), offset, size, memory);
    assertEquals(assertThrows(parse, DriverError).fault, "record");
  });
}

Deno.test("ChainRecord.parse() either refuses or gives segments inside memory, whatever the bytes", () => {
  fc.assert(parsesAnyRecord(), { seed: 22, numRuns: 2000 });
});
