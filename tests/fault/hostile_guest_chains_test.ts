// A card OS that lies in its rings: every rule of a split virtqueue broken once (virtio 1.3 §2.7), through a whole card
// and host.
import type { Descriptor } from "../support/ring_driver.ts";
import type { GuestDevice } from "../support/guest_device.ts";
import { breaksDevice, doesNothing, type GuestAct, survives } from "../support/hostile_guest.ts";

const NEXT = 1;
const WRITE = 2;
const INDIRECT = 4;
/** VERSION_1 and EVENT_IDX. */
const EVENT_IDX = 1n << 32n | 1n << 29n;
const MEMORY = 8 << 20;
/** Entries of the guests' queues. */
const SIZE = 16;

/** Address, length, flags, next. */
type Row = readonly [addr: number, len: number, flags: number, next?: number];
const descriptor = ([addr, len, flags, next = 0]: Row): Descriptor => ({ addr, len, flags, next });

/** Writes `rows` into a table of descriptors. */
function describe(guest: GuestDevice, table: number, rows: readonly Row[], queue = 0): void {
  rows.forEach((row, i) => guest.rings[queue]!.describe(table, i, descriptor(row)));
}

/** Makes the chain that begins with the first of `rows` available. */
function offer(guest: GuestDevice, rows: readonly Row[], queue = 0): void {
  describe(guest, guest.rings[queue]!.ring.descriptorTable, rows, queue);
  guest.rings[queue]!.offer(0);
  guest.notify(queue);
}

/** A chain of `rows` with `spare` to point to: a few KiB of the guest's own. */
const chain = (what: string, rows: (spare: number) => readonly Row[]): GuestAct => ({
  what,
  act: (guest) => offer(guest, rows(guest.buffer(4096))),
});

/** As above, with an indirect table at the beginning of `spare`. */
const indirect = (
  what: string,
  table: (spare: number) => readonly Row[],
  rows: (spare: number) => readonly Row[] = (
    spare,
  ) => [[spare, 16 * table(spare).length, INDIRECT]],
): GuestAct => ({
  what,
  act: (guest) => {
    const spare = guest.buffer(4096);
    describe(guest, spare, table(spare));
    offer(guest, rows(spare));
  },
});

/** `count` descriptors one after the other, the first with number `first`. */
const run = (spare: number, count: number, first = 0): Row[] =>
  Array.from({ length: count }, (_, i) => [spare, 1, i === count - 1 ? 0 : NEXT, first + i + 1]);

/** `head` into the available ring, whatever it is. */
const head = (what: string, number: number): GuestAct => ({
  what,
  act: (guest) => {
    guest.rings[0]!.offer(number);
    guest.notify(0);
  },
});

/** The available index, moved by `by` from where it is. */
const jump = (what: string, by: number): GuestAct => ({
  what,
  act: (guest) => {
    const { view, ring } = guest.rings[0]!;
    const at = ring.availableRing + 2;
    view.setUint16(at, (view.getUint16(at, true) + by) & 0xffff, true);
    guest.notify(0);
  },
});

breaksDevice("chain-index", [
  head("a head that is the queue size", SIZE),
  head("a head of 65535", 0xffff),
  chain("a next that is the queue size", (spare) => [[spare, 16, NEXT, SIZE]]),
  chain("a next of 65535", (spare) => [[spare, 16, NEXT, 0xffff]]),
  indirect("a next past the end of its indirect table", (spare) => [[spare, 16, NEXT, 1]]),
]);

breaksDevice("chain-loop", [
  chain("a descriptor that is its own next", (spare) => [[spare, 16, NEXT, 0]]),
  chain("a loop of two", (spare) => [[spare, 16, NEXT, 1], [spare, 16, NEXT, 0]]),
  chain("a loop of writable descriptors", (spare) => [[spare, 16, NEXT, 1], [spare, 1, 3, 1]]),
  chain("a loop of empty descriptors", (spare) => [[spare, 0, NEXT, 1], [spare, 0, NEXT, 0]]),
  indirect("a loop inside an indirect table", (spare) => [[spare, 16, NEXT, 0]]),
  indirect("an indirect table longer than the queue", (spare) => run(spare, SIZE + 1)),
  indirect(
    "a chain longer than the queue with its indirect table",
    (spare) => run(spare, SIZE),
    (spare) => [[spare, 1, NEXT, 1], [spare, 16 * SIZE, INDIRECT]],
  ),
]);

breaksDevice("chain-order", [
  chain("readable after writable", (spare) => [
    [spare, 16, NEXT, 1],
    [spare + 16, 512, NEXT | WRITE, 2],
    [spare + 528, 1, 0],
  ]),
  indirect("readable after writable in an indirect table", (spare) => [
    [spare + 64, 1, NEXT | WRITE, 1],
    [spare, 16, 0],
  ]),
]);

breaksDevice("chain-address", [
  chain("a descriptor that begins at the end of memory", () => [[MEMORY, 1, 0]]),
  chain("a descriptor that ends one byte past memory", () => [[MEMORY - 15, 16, 0]]),
  chain("an empty descriptor past memory", () => [[MEMORY + 1, 0, 0]]),
  chain("a descriptor of 2^32 - 1 bytes", (spare) => [[spare, 2 ** 32 - 1, 0]]),
  chain("a descriptor just below 2^52", () => [[2 ** 52 - 16, 16, 0]]),
  {
    what: "a descriptor that wraps round 2^64",
    act(guest) {
      const { view, ring } = guest.rings[0]!;
      describe(guest, ring.descriptorTable, [[0, 4096, 0]]);
      view.setBigUint64(ring.descriptorTable, 2n ** 64n - 16n, true);
      guest.rings[0]!.offer(0);
      guest.notify(0);
    },
  },
  chain("an indirect table past memory", () => [[MEMORY - 16, 32, INDIRECT]]),
  indirect("a descriptor past memory in an indirect table", () => [[MEMORY, 16, 0]]),
]);

breaksDevice("chain-indirect", [
  indirect("an indirect table inside an indirect table", (spare) => [[spare, 16, INDIRECT]]),
  {
    what: "the descriptor table as its own indirect table",
    act: (guest) => offer(guest, [[guest.rings[0]!.ring.descriptorTable, 16 * SIZE, INDIRECT]]),
  },
  chain("an indirect table of no bytes", (spare) => [[spare, 0, INDIRECT]]),
  chain("an indirect table of 17 bytes", (spare) => [[spare, 17, INDIRECT]]),
  chain("an indirect table and a next", (spare) => [[spare, 16, INDIRECT | NEXT, 1]]),
  {
    ...indirect("an indirect table that was not negotiated", (spare) => [[spare, 16, 0]]),
    without: 1n << 28n,
  },
]);

breaksDevice("chain-length", [{
  what: "2^32 bytes in one chain",
  on: "network",
  async act(guest, bench) {
    await guest.reset();
    guest.negotiate({ without: 1n << 17n });
    guest.setUp(0, guest.place(0, 1024));
    guest.setUp(1);
    guest.writeStatus(15);
    await bench.serves(guest);
    const rows = Array.from({ length: 2 ** 32 / MEMORY }, (_, i): Row => [0, MEMORY, 3, i + 1]);
    rows[rows.length - 1] = [0, MEMORY, WRITE];
    offer(guest, rows);
  },
}]);

breaksDevice("available-index", [
  jump("an available index ahead by the queue size and one", SIZE + 1),
  jump("an available index ahead by half its range", 0x8000),
  jump("an available index that goes back", -1),
]);

breaksDevice("head-in-flight", [{
  what: "one head made available twice at once",
  act(guest) {
    const spare = guest.buffer(32);
    describe(guest, guest.rings[0]!.ring.descriptorTable, [
      [spare, 16, NEXT, 1],
      [spare + 16, 1, WRITE],
    ]);
    guest.rings[0]!.offer(0);
    guest.rings[0]!.offer(0);
    guest.notify(0);
  },
}]);

/** A queue whose parts lie as they should not, used all the same. */
const overlap = (what: string, place: (at: number) => [number, number, number]): GuestAct => ({
  what,
  from: "negotiated",
  act(guest) {
    const [descriptorTable, availableRing, usedRing] = place(guest.arena);
    guest.setUp(0, { size: SIZE, descriptorTable, availableRing, usedRing });
    guest.writeStatus(15);
    for (let i = 0; i < 20; i++) {
      offer(guest, [[guest.buffer(16), 16, NEXT, 1], [guest.buffer(16), 1, WRITE]]);
    }
  },
});

survives([
  overlap("three rings in one place", (at) => [at, at, at]),
  overlap("a used ring over the descriptor table", (at) => [at, at + 4096, at]),
  overlap("a used ring over the available ring", (at) => [at, at + 4096, at + 4096]),
  overlap("avail_event over the available index", (at) => [at, at + 4096 + 128, at + 4096]),
  overlap("used_event over the used index", (at) => [at, at + 4096, at + 4096 + 36]),
  {
    what: "a used index that the driver writes itself",
    act(guest) {
      const { view, ring } = guest.rings[0]!;
      for (const index of [7, 0x8000, 0xffff, 3]) {
        view.setUint16(ring.usedRing + 2, index, true);
        offer(guest, [[guest.buffer(16), 16, NEXT, 1], [guest.buffer(16), 1, WRITE]]);
      }
    },
  },
  {
    what: "a disk read over the driver's own rings",
    act(guest) {
      const { ring } = guest.rings[0]!;
      offer(guest, [[guest.buffer(16), 16, NEXT, 1], [
        ring.descriptorTable,
        0x5000 + 512,
        NEXT | WRITE,
        2,
      ], [guest.buffer(16), 1, WRITE]]);
    },
  },
  {
    what: "a ring that changes after it was notified",
    act(guest) {
      offer(guest, [[guest.buffer(16), 16, NEXT, 1], [guest.buffer(16), 1, WRITE]]);
      guest.memory.fill(0xff, guest.arena, guest.arena + 0x8000);
      guest.notify(0);
    },
  },
]);

doesNothing([{
  what: "event indices that make no sense",
  async act(guest, bench) {
    await guest.reset();
    guest.negotiate({ features: guest.offered & EVENT_IDX });
    guest.setUp(0, guest.place(0), true);
    guest.writeStatus(15);
    for (const event of [0, 1, 0x7fff, 0x8000, 0xffff]) {
      const { view, ring } = guest.rings[0]!;
      view.setUint16(ring.availableRing + 4 + 2 * SIZE, event, true);
      view.setUint16(ring.usedRing + 4 + 8 * SIZE, event, true);
      await bench.serves(guest);
    }
  },
}]);
