/**
 * However a driver cuts its buffers into descriptors, the devices of a whole card and host read and write the same bytes
 * (virtio 1.3 §2.7.4.1), and write nothing but what is theirs to write: device-writable buffers, and the used ring
 * (§2.7.5.1, §2.7.8.2).
 */
import { assertEquals } from "@std/assert";
import { usedRingSize } from "../../protocol/mod.ts";
import { header } from "../support/block_driver.ts";
import { GuestBench } from "../support/guest_bench.ts";
import { ARENA, type GuestDevice } from "../support/guest_device.ts";
import { Random } from "../support/random.ts";
import type { Piece } from "../support/ring_driver.ts";
import { turnsUntil } from "../support/turns.ts";

/** Behind the rings of a guest. */
const TABLE = ARENA / 2 - 0x1000;
const BUFFERS = ARENA / 2;
/** Descriptors of a chain, of 16 that the queue has. */
const PIECES = 14;

/** Places for `length` bytes, in at most `most` pieces that do not touch each other. */
function cut(random: Random, at: { next: number }, length: number, most: number): Piece[] {
  const pieces: Piece[] = [];
  for (let left = length; left > 0;) {
    const last = pieces.length === most - 1;
    const size = last ? left : Math.min(left, 1 + random.below(random.oneIn(2) ? 20 : left));
    pieces.push({ address: at.next, length: size });
    at.next += size + 1 + random.below(40);
    left -= size;
  }
  return pieces;
}

/** One chain of these bytes to read and so many to write, through any descriptors. */
class Exchange {
  readonly #guest: GuestDevice;
  readonly #queue: number;
  readonly #writable: readonly Piece[];
  readonly #before: Uint8Array;

  constructor(
    guest: GuestDevice,
    queue: number,
    random: Random,
    readable: Uint8Array,
    writable: number,
  ) {
    this.#guest = guest;
    this.#queue = queue;
    const at = { next: guest.arena + BUFFERS };
    const from = cut(random, at, readable.length, PIECES / 2);
    this.#writable = cut(random, at, writable, PIECES / 2);
    let taken = 0;
    for (const { address, length } of from) {
      guest.memory.set(readable.subarray(taken, taken += length), address);
    }
    const table = random.oneIn(2) ? guest.arena + TABLE : undefined;
    guest.rings[queue]!.add(from, this.#writable, table);
    this.#before = this.#arena();
  }

  /** The device-writable bytes that the device says it has written. Nothing but those, and the used ring, changed. */
  async done(): Promise<Uint8Array> {
    const { len } = await this.#guest.used(this.#queue);
    const after = this.#arena();
    const { usedRing, size } = this.#guest.rings[this.#queue]!.ring;
    const own = [...this.#writable, { address: usedRing, length: usedRingSize(size) }];
    const written = this.#writable.flatMap(({ address, length }) => [
      ...this.#guest.memory.subarray(address, address + length),
    ]);
    for (const { address, length } of own) {
      const start = address - this.#guest.arena;
      after.set(this.#before.subarray(start, start + length), start);
    }
    assertEquals(firstChange(this.#before, after), -1, "nothing else changed");
    return Uint8Array.from(written).subarray(0, len);
  }

  #arena(): Uint8Array {
    const { arena, memory } = this.#guest;
    return memory.slice(arena, arena + ARENA);
  }
}

/** By hand, as it looks at a MiB. */
function firstChange(before: Uint8Array, after: Uint8Array): number {
  for (let i = 0; i < before.length; i++) if (before[i] !== after[i]) return i;
  return -1;
}

const ROUNDS = 20;

/** With EVENT_IDX and INDIRECT_DESC. */
async function start(guest: GuestDevice, queues: number): Promise<void> {
  await guest.reset();
  guest.negotiate({ features: guest.offered });
  for (let queue = 0; queue < queues; queue++) guest.setUp(queue, guest.place(queue), true);
  guest.writeStatus(15);
}

Deno.test("a block request is the same in whatever descriptors, and writes only where it may", async () => {
  await using bench = await GuestBench.boot();
  const guest = bench.block;
  await start(guest, 1);
  const random = new Random(1);
  for (let round = 0; round < ROUNDS; round++) {
    const sector = random.below(100);
    const data = random.bytes(512 * (1 + random.below(8)));
    const put = new Exchange(guest, 0, random, header(1, sector, data), 1);
    guest.notify(0);
    assertEquals(await put.done(), Uint8Array.of(0));
    const get = new Exchange(guest, 0, random, header(0, sector), data.length + 1);
    guest.notify(0);
    assertEquals(await get.done(), Uint8Array.of(...data, 0));
    assertEquals(bench.disk.subarray(512 * sector, 512 * sector + data.length), data);
  }
  const name = new Exchange(guest, 0, random, header(8, 0), 21);
  guest.notify(0);
  assertEquals((await name.done()).length, 21);
});

Deno.test("a frame is the same in whatever descriptors, both ways", async () => {
  await using bench = await GuestBench.boot();
  const guest = bench.network;
  await start(guest, 3);
  const random = new Random(2);
  for (let round = 0; round < ROUNDS; round++) {
    const frame = Uint8Array.of(...new Uint8Array(12), ...random.bytes(14 + random.below(1500)));
    const sent = new Exchange(guest, 1, random, frame, 0);
    guest.notify(1);
    assertEquals(await sent.done(), new Uint8Array(0));
    assertEquals(bench.net.sent.at(-1), frame);
    const got = new Exchange(guest, 0, random, new Uint8Array(0), 2048);
    guest.notify(0);
    bench.net.deliver(frame.slice());
    frame[10] = 1;
    assertEquals(await got.done(), frame);
  }
  const command = new Exchange(guest, 2, random, Uint8Array.of(0, 0, 1), 1);
  guest.notify(2);
  assertEquals(await command.done(), Uint8Array.of(0));
});

Deno.test("console output and control messages are the same in whatever descriptors", async () => {
  await using bench = await GuestBench.boot();
  const guest = bench.console;
  await start(guest, 4);
  const random = new Random(3);
  for (let round = 0; round < ROUNDS; round++) {
    const text = `${round}: ${random.bytes(1 + random.below(300)).toHex()}\n`;
    const put = new Exchange(guest, 1, random, new TextEncoder().encode(text), 0);
    guest.notify(1);
    assertEquals(await put.done(), new Uint8Array(0));
    await turnsUntil(() => bench.terminal.text.endsWith(text), "the terminal has it");
  }
  // DEVICE_READY, a byte in each descriptor, and the port that it asks for.
  const [said, heard] = [guest.buffer(8), guest.buffer(64)];
  guest.memory.set([0, 0, 0, 0, 0, 0, 1, 0], said);
  const half = { address: heard, length: 5 };
  guest.rings[2]!.add([], [half, { address: heard + 5, length: 59 }]);
  guest.notify(2);
  guest.rings[3]!.add(Array.from({ length: 8 }, (_, i) => ({ address: said + i, length: 1 })), []);
  guest.notify(3);
  assertEquals((await guest.used(2)).len, 8);
  assertEquals([...guest.memory.subarray(heard, heard + 8)], [0, 0, 0, 0, 1, 0, 0, 0]);
});
