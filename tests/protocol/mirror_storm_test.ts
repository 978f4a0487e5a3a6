// Both ends of one virtqueue mirror, whose driver or whose host does more than it should.
import { assert, assertEquals } from "@std/assert";
import { BUFFERS, MirrorRig, serveAll } from "../support/mirror_rig.ts";
import { turnsUntil } from "../support/turns.ts";

const SIZE = 1024;
const NEXT = 1;
const INDIRECT = 4;

/** A ring full of chains, each of them `length` descriptors of one byte. */
function fullOf(length: number): MirrorRig {
  const rig = new MirrorRig({ size: SIZE, stagingLength: 8 << 20, pushLimit: SIZE });
  const table = BUFFERS;
  for (let i = 0; i < length; i++) {
    const last = i === length - 1;
    rig.driver.describe(table, i, {
      addr: BUFFERS + 0x1_0000 + i,
      len: 1,
      flags: last ? 0 : NEXT,
      next: last ? 0 : i + 1,
    });
  }
  for (let head = 0; head < SIZE; head++) {
    const { descriptorTable } = rig.driver.ring;
    rig.driver.describe(descriptorTable, head, {
      addr: table,
      len: 16 * length,
      flags: INDIRECT,
      next: 0,
    });
    rig.driver.offer(SIZE - 1 - head);
  }
  return rig;
}

Deno.test("a ring full of the longest chains is walked in turns, in its order", async () => {
  const rig = fullOf(SIZE);
  rig.card.kick();
  assertEquals(rig.card.inFlight, 16, "16 chains of 1024 are a turn");
  for (let i = 0; i < 100; i++) rig.card.kick();
  rig.settle();
  assertEquals(rig.card.inFlight, 16, "notifications do not make a turn longer");
  await turnsUntil(() => rig.card.inFlight === SIZE, "the ring is walked");
  rig.settle();
  const heads = [];
  for (let chain = rig.host.pop(); chain; chain = rig.host.pop()) heads.push(chain.head);
  assertEquals(heads, Array.from({ length: SIZE }, (_, i) => SIZE - 1 - i));
  assertEquals(rig.faults, []);
});

Deno.test("a ring of short chains is walked at once", () => {
  const rig = fullOf(8);
  rig.card.kick();
  assertEquals(rig.card.inFlight, SIZE);
});

for (const end of ["stop", "park"] as const) {
  Deno.test(`${end}() leaves no turn behind`, async () => {
    const rig = fullOf(SIZE);
    rig.card.kick();
    rig.card[end]();
    const posted = rig.toHost.frames.length;
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, 0);
    await promise;
    assertEquals([rig.card.inFlight, rig.toHost.frames.length], [16, posted]);
  });
}

Deno.test("doorbells that bring nothing back walk nothing", async () => {
  const rig = new MirrorRig({ size: 8, stagingLength: 0x400, pushLimit: 0x100 });
  const piece = { address: BUFFERS, length: 0x100 };
  for (let i = 0; i < 6; i++) rig.driver.add([piece], []);
  rig.notify();
  const waiting = rig.card.inFlight;
  assert(waiting < 6);
  // Whoever looked at the waiting chain again would find this.
  rig.driver.describe(rig.driver.ring.descriptorTable, waiting, {
    addr: BUFFERS,
    len: 1,
    flags: NEXT,
    next: waiting,
  });
  for (let i = 0; i < 100; i++) rig.card.used();
  assertEquals(rig.faults, []);
  rig.settle();
  await serveAll(rig.host);
  rig.settle();
  assertEquals(rig.faults.map(({ fault }) => fault), ["chain-loop"]);
});
