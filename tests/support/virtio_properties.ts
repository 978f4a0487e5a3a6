/**
 * What must hold of the chain walker, the record parser and the ring indices whatever a card OS or a card process writes,
 * as properties: their tests try each some thousand times, the soak `chains` a million times.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { DriverError } from "../../protocol/errors.ts";
import { viewOf } from "../../protocol/layout.ts";
import { ChainWalker } from "../../protocol/virtio/chain.ts";
import type { DriverFault } from "../../protocol/virtio/faults.ts";
import { ChainRecord } from "../../protocol/virtio/record.ts";
import { DESC_F, VIRTQ_DESC } from "../../protocol/virtio/ring.ts";
import { advance, crossed, distance, past } from "../../protocol/virtio/ring_index.ts";
import type { Descriptor } from "./ring_driver.ts";

export const SIZE = 4;
export const TABLE = 0x100;
export const INDIRECT = 0x400;
export const MEMORY = 0x1000;
const RING = { size: SIZE, descriptorTable: TABLE, availableRing: 0, usedRing: 0x40 };
const { NEXT, WRITE, INDIRECT: IND } = DESC_F;

/** addr, len, flags, next. */
export type Row = readonly [addr: number, len: number, flags?: number, next?: number];

export function memoryWith(table: readonly Row[], indirect: readonly Row[] = []): DataView {
  const view = new DataView(new ArrayBuffer(MEMORY));
  const write = (rows: readonly Row[], at: number) =>
    rows.forEach(([addr, len, flags = 0, next = 0], i) =>
      VIRTQ_DESC.write(view, { addr, len, flags, next }, at + 16 * i)
    );
  write(table, TABLE);
  write(indirect, INDIRECT);
  return view;
}

export function walkerOf(indirect = true, memorySize = MEMORY): ChainWalker {
  return new ChainWalker({ ring: RING, memorySize, indirect, capacity: 2 * SIZE });
}

/** What the walker found, as [address, length] pairs. */
export function found(walker: ChainWalker, base = 0) {
  const piece = (i: number) => [walker.addresses[i]!, walker.lengths[i]!];
  const { readableCount, writableCount } = walker;
  const all = Array.from({ length: readableCount + writableCount }, (_, i) => piece(base + i));
  return { readable: all.slice(0, readableCount), writable: all.slice(readableCount) };
}

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

/** The walker finds what the reference finds, in bounded steps. `whole` is called for each chain without a fault. */
export function walksAsReference(whole: () => void = () => {}) {
  const address = fc.oneof(
    fc.constantFrom(INDIRECT, INDIRECT + 16, TABLE, MEMORY - 16, MEMORY),
    fc.integer({ min: 0, max: MEMORY + 8 }),
  );
  const length = fc.oneof(fc.constantFrom(0, 1, 16, 48, 64, 80), fc.nat(MEMORY));
  const flags = fc.constantFrom(0, NEXT, NEXT, WRITE, NEXT | WRITE, NEXT | WRITE, IND, IND | NEXT);
  const descriptor = fc.tuple(address, length, flags, fc.integer({ min: 0, max: SIZE + 1 }));
  return fc.property(
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
      whole();
    },
  );
}

/** Any bytes at all are refused, or give segments inside memory. */
export function walksAnyBytes() {
  return fc.property(
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
  );
}

/** Any record is refused, or gives segments inside card memory and pushed bytes inside staging. */
export function parsesAnyRecord() {
  const small = fc.integer({ min: 0, max: 5 });
  return fc.property(
    fc.uint8Array({ minLength: 192, maxLength: 192 }),
    fc.tuple(small, small, small),
    fc.boolean(),
    (bytes, [head, readable, writable], plausible) => {
      const view = viewOf(bytes);
      if (plausible) {
        // Most random headers are refused at the first rule; steer some past it.
        [head, readable, writable, 0].forEach((v, i) => view.setUint16(2 * i, v, true));
        view.setUint32(8, readable === 0 ? 8 : readable * 256, true);
        view.setUint32(12, 8, true);
        for (let i = 0; i < readable + writable; i++) {
          view.setUint32(16 + 16 * i + 4, 0, true);
          view.setUint32(16 + 16 * i, view.getUint16(16 + 16 * i), true);
          view.setUint32(16 + 16 * i + 8, 256, true);
        }
      }
      const record = new ChainRecord();
      try {
        record.parse(view, 0, 8, 0x1_0000);
      } catch (error) {
        return error instanceof DriverError && error.fault === "record";
      }
      const count = record.readableCount + record.writableCount;
      for (let i = 0; i < count; i++) {
        if (record.addresses[i]! + record.lengths[i]! > 0x1_0000) return false;
      }
      return count <= 8 && record.pushedOffset + record.pushedLength <= 192;
    },
  );
}

/** Any two indices: what one is ahead of the other is what brings it there, and an event is met once on the way. */
export function movesRound() {
  const index = fc.nat(0xffff);
  return fc.property(index, index, index, (from, to, event) => {
    const ahead = distance(from, to);
    assertEquals(advance(from, ahead), to);
    assertEquals((ahead + distance(to, from)) % 65536, 0);
    assertEquals(past(from, to), ahead > 0 && ahead < 0x8000);
    // Step by step from one to the other, in up to three parts, the event is met as often as in one.
    const half = advance(from, ahead >> 1);
    const parts = [crossed(event, from, half), crossed(event, half, to)].filter(Boolean).length;
    assertEquals(parts, crossed(event, from, to) ? 1 : 0);
  });
}
