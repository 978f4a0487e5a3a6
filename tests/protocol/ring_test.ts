import { assertEquals, assertThrows } from "@std/assert";
import { DriverError } from "../../protocol/errors.ts";
import {
  availableEntry,
  availableRingSize,
  availEventOffset,
  checkSplitRing,
  descriptorTableSize,
  type SplitRing,
  usedEntry,
  usedEventOffset,
  usedRingSize,
  VIRTQ_DESC,
  VIRTQ_RING,
  VIRTQ_USED_ELEM,
} from "../../protocol/virtio/ring.ts";

/** Typed from virtio 1.3 §2.7.5, §2.7.6 and §2.7.8. */
Deno.test("VIRTQ_DESC has the bytes of the spec", () => {
  const bytes = new Uint8Array(16);
  VIRTQ_DESC.write(new DataView(bytes.buffer), {
    addr: 0x4_5566_7788,
    len: 0x1000,
    flags: 3,
    next: 0x0102,
  });
  assertEquals(
    bytes,
    // deno-fmt-ignore
    new Uint8Array([
      0x88, 0x77, 0x66, 0x55, 0x04, 0, 0, 0,
      0x00, 0x10, 0, 0,
      0x03, 0,
      0x02, 0x01,
    ]),
  );
});

Deno.test("ring heads and used elements have the bytes of the spec", () => {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  VIRTQ_RING.write(view, { flags: 1, idx: 0xfffe });
  VIRTQ_USED_ELEM.write(view, { id: 7, len: 0x201 }, usedEntry(0));
  assertEquals(bytes, new Uint8Array([1, 0, 0xfe, 0xff, 7, 0, 0, 0, 1, 2, 0, 0]));
});

Deno.test("sizes and offsets are those of §2.7 for a queue of 256", () => {
  assertEquals(descriptorTableSize(256), 4096);
  assertEquals(availableRingSize(256), 6 + 2 * 256);
  assertEquals(usedRingSize(256), 6 + 8 * 256);
  assertEquals(availableEntry(3), 10);
  assertEquals(usedEntry(3), 28);
  assertEquals(usedEventOffset(256), 4 + 2 * 256);
  assertEquals(availEventOffset(256), 4 + 8 * 256);
});

const GOOD: SplitRing = {
  size: 8,
  descriptorTable: 0,
  availableRing: 130,
  usedRing: 4024,
};

Deno.test("checkSplitRing() takes rings up to the last byte of memory", () => {
  checkSplitRing({ ...GOOD, usedRing: 4024 }, 4024 + 70);
});

const BAD: readonly (Partial<SplitRing> & { readonly what: string })[] = [
  { size: 0, what: "size 0" },
  { size: 6, what: "a size that is no power of two" },
  { size: 65536, what: "a size over 32768" },
  { size: 2.5, what: "a size that is no integer" },
  { descriptorTable: 8, what: "a misaligned descriptor table" },
  { availableRing: 129, what: "a misaligned available ring" },
  { usedRing: 4022, what: "a misaligned used ring" },
  { descriptorTable: 4096 - 112, what: "a descriptor table past the end" },
  { availableRing: 4096 - 20, what: "an available ring past the end" },
  { usedRing: 4096 - 68, what: "a used ring past the end" },
  { descriptorTable: Infinity, what: "an address over 2^52" },
  { usedRing: -4, what: "a negative address" },
];
for (const { what, ...change } of BAD) {
  Deno.test(`checkSplitRing() refuses ${what}`, () => {
    checkSplitRing(GOOD, 4096);
    const error = assertThrows(() => checkSplitRing({ ...GOOD, ...change }, 4096), DriverError);
    assertEquals(error.fault, "queue-setup");
  });
}
