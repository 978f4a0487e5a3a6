import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  DeviceError,
  DriverQueue,
  type DriverQueueOptions,
} from "../../protocol/virtio/driver_queue.ts";

// One page a part, so that an address says by itself which part it is in.
const RINGS = { descriptorTable: 0x1000, availableRing: 0x2000, usedRing: 0x3000 };
const TABLES = 0x4000;

function make(size = 4, options: Partial<DriverQueueOptions> = {}) {
  const memory = new DataView(new ArrayBuffer(0x10000));
  const queue = new DriverQueue({ memory, size, ...RINGS, eventIndex: true, ...options });
  const hex = (at: number, length: number) => new Uint8Array(memory.buffer, at, length).toHex();
  const used = (index: number, id: number, len: number) => {
    const slot = 0x3004 + 8 * (index % size);
    memory.setUint32(slot, id, true);
    memory.setUint32(slot + 4, len, true);
    memory.setUint16(0x3002, index + 1, true);
  };
  return { memory, queue, hex, used };
}
const into = { head: -1, written: -1 };

Deno.test("add() writes the descriptors of §2.7.5, when a chain is direct", () => {
  const { queue, hex } = make();
  assertEquals(
    queue.add([{ address: 0x12345678, length: 16 }], [
      { address: 0x9000, length: 512 },
      { address: 0xa000, length: 1 },
    ]),
    0,
  );
  // addr, len, flags (NEXT 1, WRITE 2), next
  assertEquals(hex(0x1000, 16), "7856341200000000" + "10000000" + "0100" + "0100");
  assertEquals(hex(0x1010, 16), "0090000000000000" + "00020000" + "0300" + "0200");
  assertEquals(hex(0x1020, 16), "00a0000000000000" + "01000000" + "0200" + "0000");
  assertEquals(hex(0x2000, 6), "0000" + "0000" + "0000", "not yet available");
  assertEquals(queue.free, 1);
  queue.publish();
  assertEquals(hex(0x2000, 6), "0000" + "0100" + "0000");
});

Deno.test("add() takes one descriptor, when a chain is indirect", () => {
  const { queue, hex } = make(4, { indirect: { address: TABLES, capacity: 2 } });
  queue.add([{ address: 0x9000, length: 1 }]);
  assertEquals(hex(0x1000, 16), "0090000000000000" + "01000000" + "0000" + "0000", "one: direct");
  assertEquals(
    queue.add([{ address: 0x9000, length: 16 }], [{ address: 0xa000, length: 3 }]),
    1,
  );
  // Table of head 1: two descriptors a table.
  assertEquals(hex(0x1010, 16), "2040000000000000" + "20000000" + "0400" + "0000");
  assertEquals(hex(0x4020, 16), "0090000000000000" + "10000000" + "0100" + "0100");
  assertEquals(hex(0x4030, 16), "00a0000000000000" + "03000000" + "0200" + "0000");
  assertEquals(queue.free, 2);
});

Deno.test("add() is -1 when too few descriptors are left, and throws when they never suffice", () => {
  const { queue } = make(2);
  const one = [{ address: 0x9000, length: 1 }];
  assertThrows(() => queue.add([]), RangeError, "0 segments");
  assertThrows(() => queue.add([...one, ...one], one), RangeError, "3 segments");
  assertEquals(queue.add(one), 0);
  assertEquals(queue.add(one, one), -1);
  assertEquals(queue.add(one), 1);
  assertEquals(queue.add(one), -1);
});

Deno.test("publish() asks for a notification when the device's avail_event is crossed", () => {
  const { queue, memory } = make();
  const one = [{ address: 0x9000, length: 1 }];
  assert(!queue.publish(), "nothing was added");
  queue.add(one);
  assert(queue.publish(), "avail_event 0 awaits the first");
  queue.add(one);
  assert(!queue.publish(), "avail_event 0 was crossed before");
  memory.setUint16(0x3004 + 8 * 4, 3, true);
  queue.add(one);
  assert(!queue.publish(), "index 3 is not entry 3");
  queue.add(one);
  assert(queue.publish());
});

Deno.test("publish() minds VIRTQ_USED_F_NO_NOTIFY when EVENT_IDX is off", () => {
  const { queue, memory } = make(4, { eventIndex: false });
  queue.add([{ address: 0x9000, length: 1 }]);
  assert(queue.publish());
  memory.setUint16(0x3000, 1, true);
  queue.add([{ address: 0x9000, length: 1 }]);
  assert(!queue.publish());
});

Deno.test("popUsed() gives heads back in the device's order and frees their descriptors", () => {
  const { queue, used } = make();
  queue.add([{ address: 0x9000, length: 1 }], [{ address: 0xa000, length: 8 }]);
  queue.add([{ address: 0x9000, length: 1 }], [{ address: 0xa000, length: 8 }]);
  queue.publish();
  assert(!queue.popUsed(into));
  used(0, 2, 8);
  assert(queue.popUsed(into));
  assertEquals(into, { head: 2, written: 8 });
  assertEquals(queue.free, 2);
  used(1, 0, 0);
  assert(queue.popUsed(into));
  assertEquals(into, { head: 0, written: 0 });
  assertEquals(queue.free, 4);
  assert(!queue.popUsed(into));
});

Deno.test("popUsed() refuses what a device may not say", () => {
  for (
    const [id, len, index, says] of [
      [1, 0, 1, "head 1 is not in flight"], // inside a chain
      [3, 0, 1, "head 3 is not in flight"], // free
      [4, 0, 1, "head 4 is not in flight"], // outside the table
      [0xffffffff, 0, 1, "not in flight"],
      [0, 9, 1, "room for 8"],
      [0, 0, 5, "index 5 ahead"],
    ] as const
  ) {
    const { queue, memory, used } = make();
    queue.add([{ address: 0x9000, length: 1 }], [{ address: 0xa000, length: 8 }]);
    queue.publish();
    used(0, id, len);
    memory.setUint16(0x3002, index, true);
    assertThrows(() => queue.popUsed(into), DeviceError, says);
  }
});

Deno.test("popUsed() refuses a head that came back already", () => {
  const { queue, used } = make();
  queue.add([{ address: 0x9000, length: 1 }]);
  queue.publish();
  used(0, 0, 0);
  queue.popUsed(into);
  used(1, 0, 0);
  assertThrows(() => queue.popUsed(into), DeviceError, "head 0 is not in flight");
});

Deno.test("awaitUsed() sets used_event and says whether what it waits for came already", () => {
  const { queue, memory, used } = make();
  for (let i = 0; i < 3; i++) queue.add([{ address: 0x9000, length: 1 }]);
  queue.publish();
  const usedEvent = () => memory.getUint16(0x2004 + 2 * 4, true);
  assert(queue.awaitUsed());
  assertEquals(usedEvent(), 0);
  assert(queue.awaitUsed(3));
  assertEquals(usedEvent(), 2);
  used(0, 0, 0);
  assert(!queue.awaitUsed());
  assert(queue.awaitUsed(2));
  queue.popUsed(into);
  queue.ignoreUsed();
  assertEquals(usedEvent(), 0, "the entry taken last: behind every index to come");
});

Deno.test("awaitUsed() and ignoreUsed() turn VIRTQ_AVAIL_F_NO_INTERRUPT when EVENT_IDX is off", () => {
  const { queue, hex } = make(4, { eventIndex: false });
  queue.ignoreUsed();
  assertEquals(hex(0x2000, 2), "0100");
  assert(queue.awaitUsed(7));
  assertEquals(hex(0x2000, 2), "0000");
});

Deno.test("DriverQueue loses no descriptor and no chain, whatever the order of add and use", () => {
  const step = fc.oneof(
    fc.record({ add: fc.tuple(fc.nat(3), fc.nat(3)) }),
    fc.record({ use: fc.nat() }),
  );
  const run = (steps: unknown[], indirect: boolean) => {
    const size = 8;
    const { memory, queue } = make(
      size,
      indirect ? { indirect: { address: TABLES, capacity: 4 } } : {},
    );
    // The device: reads the available ring and walks each chain by the table alone.
    const walk = (head: number) => {
      const segments: { address: number; length: number; write: boolean }[] = [];
      let table = 0x1000;
      let index = head;
      for (;;) {
        const at = table + 16 * index;
        const flags = memory.getUint16(at + 12, true);
        if (flags & 4) {
          table = memory.getUint32(at, true);
          index = 0;
          continue;
        }
        segments.push({
          address: memory.getUint32(at, true),
          length: memory.getUint32(at + 8, true),
          write: (flags & 2) !== 0,
        });
        if (!(flags & 1)) return segments;
        index = memory.getUint16(at + 14, true);
      }
    };
    const flight = new Map<number, number>();
    let seen = 0;
    let usedIndex = 0;
    let stamp = 0x8000;
    for (const s of steps as ({ add: [number, number] } | { use: number })[]) {
      if ("add" in s) {
        const segment = () => ({ address: stamp++, length: 1 });
        const readable = Array.from({ length: s.add[0] + 1 }, segment);
        const writable = Array.from({ length: s.add[1] }, segment);
        const head = queue.add(readable, writable);
        if (head < 0) continue;
        queue.publish();
        assertEquals(memory.getUint16(0x2002, true), ++seen & 0xffff);
        assertEquals(memory.getUint16(0x2004 + 2 * ((seen - 1) % size), true), head);
        assert(!flight.has(head));
        assertEquals(walk(head), [
          ...readable.map((r) => ({ ...r, write: false })),
          ...writable.map((w) => ({ ...w, write: true })),
        ]);
        flight.set(head, writable.length);
      } else if (flight.size > 0) {
        const head = [...flight.keys()][s.use % flight.size]!;
        const slot = 0x3004 + 8 * (usedIndex % size);
        memory.setUint32(slot, head, true);
        memory.setUint32(slot + 4, flight.get(head)!, true);
        memory.setUint16(0x3002, ++usedIndex & 0xffff, true);
        assert(queue.popUsed(into));
        assertEquals(into, { head, written: flight.get(head)! });
        flight.delete(head);
      }
      if (flight.size === 0) assertEquals(queue.free, size);
    }
  };
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), fc.boolean(), run));
});
