// A card OS whose chains are whole and whose requests are not (virtio 1.3 §5.1, §5.2, §5.3), through a whole card and
// host.
import { assertEquals } from "@std/assert";
import { ranges } from "../support/block_driver.ts";
import { DISK_SECTORS, GuestBench } from "../support/guest_bench.ts";
import type { GuestDevice } from "../support/guest_device.ts";
import { breaksDevice, doesNothing, type GuestAct } from "../support/hostile_guest.ts";
import { turnsUntil } from "../support/turns.ts";

const IN = 0;
const OUT = 1;
const FLUSH = 4;
const GET_ID = 8;
const DISCARD = 11;
const WRITE_ZEROES = 13;
const OK = 0;
const IOERR = 1;
const UNSUPP = 2;

/** A block request that fails by itself, with the status that the specification has for it (§5.2.6). */
const fails = (
  what: string,
  type: number,
  sector: number,
  data: Uint8Array | number,
  status: number,
): GuestAct => ({
  what,
  async act(guest) {
    const length = typeof data === "number" ? data : data.length;
    const answer = await guest.request(type, sector, length, (place) => {
      if (typeof data !== "number") place.set(data);
    });
    assertEquals(answer.status, status);
  },
});
const range = (sector: number, num_sectors: number, flags = 0) =>
  ranges([{ sector, num_sectors, flags }]);
const zeroes = (count: number) =>
  ranges(Array.from({ length: count }, () => ({ sector: 0, num_sectors: 1 })));

doesNothing([
  fails("a read of 100 bytes", IN, 0, 100, IOERR),
  fails("a write of 513 bytes", OUT, 0, 513, IOERR),
  fails("a read past the end of the disk", IN, DISK_SECTORS, 512, IOERR),
  fails("a read across the end of the disk", IN, DISK_SECTORS - 1, 1024, IOERR),
  fails("a write across the end of the disk", OUT, DISK_SECTORS - 1, 1024, IOERR),
  fails("a write at sector 2^51", OUT, 2 ** 51, 512, IOERR),
  fails("a request of unknown type", 99, 0, 512, UNSUPP),
  fails("a request of type 2^32 - 1", 2 ** 32 - 1, 0, 0, UNSUPP),
  fails("a flush with data", FLUSH, 77, 512, OK),
  fails("a discard without ranges", DISCARD, 0, 0, IOERR),
  fails("a discard of half a range", DISCARD, 0, range(0, 1).subarray(0, 8), IOERR),
  fails("a discard of more ranges than offered", DISCARD, 0, zeroes(17), IOERR),
  fails("a discard past the end", DISCARD, 0, range(DISK_SECTORS, 1), IOERR),
  fails("a discard of 2^32 - 1 sectors", DISCARD, 0, range(0, 2 ** 32 - 1), IOERR),
  fails("a discard with a reserved flag", DISCARD, 0, range(0, 1, 1), UNSUPP),
  fails("zeroes past the end", WRITE_ZEROES, 0, range(DISK_SECTORS - 1, 2), IOERR),
  fails("zeroes with a reserved flag", WRITE_ZEROES, 0, range(0, 1, 2), UNSUPP),
  fails("zeroes at sector 2^51", WRITE_ZEROES, 0, range(2 ** 51, 1), IOERR),
  {
    ...fails("a discard that was not negotiated", DISCARD, 0, range(0, 1), UNSUPP),
    without: 1n << 13n,
  },
  {
    what: "a question for the name with room for 5 bytes",
    async act(guest) {
      const answer = await chain(guest, 0, [16], [5, 1], (at) => guest.memory[at] = GET_ID);
      assertEquals(answer.len, 6);
    },
  },
  {
    what: "a read at sector 2^64 - 1",
    async act(guest) {
      const answer = await chain(guest, 0, [16], [512, 1], (at) => {
        guest.memory.fill(0xff, at + 8, at + 16);
      });
      assertEquals([answer.len, answer.last], [0, IOERR]);
    },
  },
]);

/** A chain on `queue` with buffers of these lengths, zeros unless `fill` says otherwise; and what it comes back as. */
async function chain(
  guest: GuestDevice,
  queue: number,
  readable: readonly number[],
  writable: readonly number[],
  fill: (at: number) => void = () => {},
): Promise<{ len: number; last: number }> {
  const at = submit(guest, queue, readable, writable, fill);
  const { len } = await guest.used(queue);
  const end = at + [...readable, ...writable].reduce((sum, length) => sum + length, 0);
  return { len, last: guest.memory[end - 1]! };
}

function submit(
  guest: GuestDevice,
  queue: number,
  readable: readonly number[],
  writable: readonly number[],
  fill: (at: number) => void = () => {},
): number {
  const start = guest.buffer([...readable, ...writable].reduce((sum, length) => sum + length, 0));
  fill(start);
  let at = start;
  const pieces = (lengths: readonly number[]) =>
    lengths.map((length) => {
      const address = at;
      at += length;
      return { address, length };
    });
  guest.rings[queue]!.add(pieces(readable), pieces(writable));
  guest.notify(queue);
  return start;
}

/** A chain of the wrong shape. */
const shape = (
  what: string,
  readable: readonly number[],
  writable: readonly number[],
  { on = "block", queue = 0 }: { readonly on?: GuestAct["on"]; readonly queue?: number } = {},
): GuestAct => ({ what, on, act: (guest) => void submit(guest, queue, readable, writable) });

/** As the rig starts it, with the control queues too. */
async function withControl(guest: GuestDevice, queues: number): Promise<void> {
  await guest.reset();
  guest.negotiate();
  for (let queue = 0; queue < queues; queue++) guest.setUp(queue);
  guest.writeStatus(15);
}
const network = (what: string, act: (guest: GuestDevice) => void): GuestAct => ({
  what,
  on: "network",
  async act(guest) {
    await withControl(guest, 3);
    act(guest);
  },
});
const console_ = (what: string, act: (guest: GuestDevice) => void): GuestAct => ({
  what,
  on: "console",
  async act(guest) {
    await withControl(guest, 4);
    act(guest);
  },
});

breaksDevice("request", [
  shape("a block request without a status byte", [16, 512], []),
  shape("a block request whose status byte is readable", [16, 512, 1], []),
  shape("a block request with a header of 15 bytes", [15], [512, 1]),
  shape("a block request without a header", [], [512, 1]),
  shape("a block request whose buffers are all empty", [0, 0], [0]),
  {
    what: "a receive buffer of 11 bytes",
    on: "network",
    act(guest, bench) {
      submit(guest, 0, [], [11]);
      bench.net.deliver(new Uint8Array(72));
    },
  },
  {
    what: "a receive buffer that cannot be written",
    on: "network",
    act(guest, bench) {
      submit(guest, 0, [2048], []);
      bench.net.deliver(new Uint8Array(72));
    },
  },
  network("a network command of one byte", (guest) => void submit(guest, 2, [1], [1])),
  network("a network command without an answer byte", (guest) => void submit(guest, 2, [2, 6], [])),
  console_("a control message of 7 bytes", (guest) => void submit(guest, 3, [7], [])),
  console_("a control buffer of 7 bytes", (guest) => {
    submit(guest, 2, [], [7]);
    submit(guest, 3, [8], [], (at) => guest.memory[at + 6] = 1);
  }),
  {
    what: "console output of more than a MiB at once",
    on: "console",
    act(guest) {
      const piece = { address: guest.buffer(0x2_0000), length: 0x2_0000 };
      guest.rings[1]!.add(Array.from({ length: 9 }, () => piece), []);
      guest.notify(1);
    },
  },
]);

/** Writes a header that asks for a checksum and segmentation, as a driver would, but for what is given. */
const offload =
  ({ flags = 1, gso = 0, size = 512, start = 34, offset = 16 }) => (view: DataView) => {
    view.setUint8(0, flags);
    view.setUint8(1, gso);
    view.setUint16(4, size, true);
    view.setUint16(6, start, true);
    view.setUint16(8, offset, true);
    view.setUint8(12 + 34 + 12, 0x50);
  };

/** A frame that is not sent, but given back and counted (§5.1.6.2). `header` is changed by `change`. */
const dropped = (
  what: string,
  length: number,
  change: (view: DataView) => void = () => {},
): GuestAct => ({
  what,
  on: "network",
  async act(guest, bench) {
    const sent = bench.net.sent.length;
    await transmit(guest, length, change);
    assertEquals([bench.netDevice.counters.refused, bench.net.sent.length], [1, sent]);
  },
});
const transmit = (guest: GuestDevice, length: number, change: (view: DataView) => void) =>
  chain(guest, 1, [length], [], (at) => {
    const { buffer } = guest.memory;
    change(new DataView(buffer, at, length));
  });

doesNothing([
  dropped("a frame of no bytes", 12),
  dropped("a frame without a whole header", 5),
  dropped("a frame of 13 bytes", 25),
  dropped("a frame longer than any", 70_000),
  {
    ...dropped("a checksum that was not negotiated", 72, (view) => view.setUint8(0, 1)),
    without: 1n,
  },
  {
    ...dropped("segmentation that was not negotiated", 72, offload({ gso: 1 })),
    without: 1n << 11n,
  },
  dropped("a checksum that begins past the frame", 72, offload({ start: 61 })),
  dropped("a checksum that lies past the frame", 72, offload({ start: 34, offset: 25 })),
  dropped("a checksum at 65535 of 65535", 72, offload({ start: 0xffff, offset: 0xffff })),
  dropped("an unknown kind of segmentation", 72, offload({ gso: 0x7f })),
  dropped("UDP fragmentation, which is not offered", 72, offload({ gso: 3 })),
  dropped("segmentation without a checksum", 72, offload({ gso: 1, flags: 0 })),
  dropped("segmentation into segments of no bytes", 72, offload({ gso: 1, size: 0 })),
  dropped("segmentation without a TCP header", 72, offload({ gso: 1, start: 58, offset: 0 })),
  dropped("segmentation of another protocol's header", 72, offload({ gso: 4, offset: 6 })),
  dropped("a TCP header longer than its frame", 72, (view) => {
    offload({ gso: 1 })(view);
    view.setUint8(12 + 34 + 12, 0xf0);
  }),
  {
    what: "a header full of nonsense for a frame without offloads",
    on: "network",
    async act(guest, bench) {
      await transmit(guest, 72, (view) => {
        view.setUint8(0, 0xfe);
        for (let at = 2; at < 12; at += 2) view.setUint16(at, 0xffff, true);
      });
      assertEquals(bench.netDevice.counters.refused, 0);
      assertEquals(bench.net.sent.at(-1)!.subarray(0, 12), new Uint8Array(12));
    },
  },
  {
    what: "network commands that do not exist",
    on: "network",
    async act(guest) {
      await withControl(guest, 3);
      for (const [group, verb] of [[9, 9], [0, 77], [1, 0], [1, 1], [4, 0]]) {
        const answer = await chain(guest, 2, [2], [1], (at) => {
          guest.memory.set([group!, verb!], at);
        });
        assertEquals(answer, { len: 1, last: 1 });
      }
      await withControl(guest, 3);
    },
  },
  {
    what: "control messages for ports that do not exist, and of unknown kinds",
    on: "console",
    async act(guest) {
      await withControl(guest, 4);
      for (const id of [0, 1, 31, 32, 0xffff_ffff]) {
        for (const event of [1, 2, 3, 4, 5, 6, 7, 8, 0xffff]) {
          await chain(guest, 3, [8], [], (at) => {
            const view = new DataView(guest.memory.buffer);
            view.setUint32(at, id, true);
            view.setUint16(at + 4, event, true);
            view.setUint16(at + 6, 0xffff, true);
          });
        }
      }
      await emptyOutput(guest);
    },
  },
]);

async function emptyOutput(guest: GuestDevice): Promise<void> {
  guest.rings[1]!.add([{ address: guest.arena, length: 0 }], []);
  guest.notify(1);
  assertEquals((await guest.used(1)).len, 0);
}

Deno.test("a receive queue without buffers holds its frames back, and delivers them later", async () => {
  await using bench = await GuestBench.boot();
  await bench.start(bench.network);
  for (let i = 0; i < 40; i++) bench.net.deliver(new Uint8Array(72));
  await bench.start(bench.bystander);
  await bench.serves(bench.bystander);
  let received = 0;
  for (let i = 0; i < 40; i++) {
    submit(bench.network, 0, [], [2048]);
    await turnsUntil(() => bench.network.rings[0]!.takeUsed() !== undefined, "a frame comes");
    received++;
  }
  assertEquals(received, 40);
});
