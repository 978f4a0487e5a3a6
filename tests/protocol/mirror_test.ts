/** The virtqueue mirror, both ends together: driver, card, host and back. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { answer, BUFFERS, MEMORY_SIZE, MirrorRig, serveAll } from "../support/mirror_rig.ts";
import type { Piece } from "../support/ring_driver.ts";

/** Fills pieces of card memory with bytes that differ from place to place; all of them, end to end. */
function fill(rig: MirrorRig, pieces: readonly Piece[], seed: number): Uint8Array {
  const all: number[] = [];
  for (const { address, length } of pieces) {
    for (let i = 0; i < length; i++) {
      const byte = (seed * 31 + all.length * 7 + (all.length >> 8)) & 0xff;
      rig.bytes[address + i] = byte;
      all.push(byte);
    }
  }
  return Uint8Array.from(all);
}

const gather = (rig: MirrorRig, pieces: readonly Piece[]): Uint8Array =>
  Uint8Array.from(
    pieces.flatMap(({ address, length }) => [...rig.bytes.subarray(address, address + length)]),
  );

const READABLE: readonly Piece[] = [
  { address: BUFFERS, length: 16 },
  { address: BUFFERS + 0x100, length: 700 },
  { address: BUFFERS + 0x801, length: 1 },
];
const WRITABLE: readonly Piece[] = [
  { address: BUFFERS + 0x1001, length: 300 },
  { address: BUFFERS + 0x2000, length: 5000 },
];

for (const indirect of [undefined, 0x8_0000]) {
  for (const eventIndex of [false, true]) {
    const how = `${indirect ? "an indirect" : "a direct"} chain, ${
      eventIndex ? "with" : "without"
    }`;
    Deno.test(`a chain comes back with its answer: ${how} EVENT_IDX`, async () => {
      const rig = new MirrorRig({ eventIndex });
      const sent = fill(rig, READABLE, 1);
      const head = rig.driver.add(READABLE, WRITABLE, indirect);
      rig.notify();
      rig.settle();
      assertEquals(rig.msis, 1);
      assertEquals(await serveAll(rig.host), 1);
      rig.settle();
      assertEquals(rig.driver.takeUsed(), { id: head, len: 5300 });
      assertEquals(gather(rig, WRITABLE), answer(sent, 5300));
      assertEquals(rig.interrupts, 1);
      assertEquals([rig.card.inFlight, rig.host.inFlight, rig.card.strayUsed], [0, 0, 0]);
    });
  }
}

Deno.test("one posted write carries a batch of chains, and one its used elements", async () => {
  const rig = new MirrorRig();
  for (let i = 0; i < 4; i++) rig.driver.add([{ address: BUFFERS, length: 16 }], []);
  rig.notify();
  assertEquals(
    rig.toHost.frames.map((f) => f.spans.length),
    [3, 0],
    "records, entries, index; MSI",
  );
  rig.settle();
  await serveAll(rig.host);
  assertEquals(rig.toCard.frames.map((f) => f.spans.length), [3], "elements, index, doorbell");
});

Deno.test("a chain above the push limit: its prefix is pushed, the rest is read across", async () => {
  const rig = new MirrorRig({ pushLimit: 100 });
  const sent = fill(rig, READABLE, 3);
  rig.driver.add(READABLE, WRITABLE);
  rig.notify();
  rig.settle();
  const chain = rig.host.pop()!;
  assertEquals(chain.readableLength, 717);
  assertEquals(chain.pushed, sent.subarray(0, 100));
  assertEquals(await rig.host.fetch(chain, new AbortController().signal), sent);
  assertEquals(rig.toCard.reads.map((r) => r.length), [616, 1], "only what was not pushed");
});

Deno.test("a record larger than a posted write is cut, and whole before its ring entry", () => {
  const rig = new MirrorRig({ size: 256, maxPayload: 4096, pushLimit: 20_000 });
  // Odd places and lengths: nothing lines up by luck.
  const readable = Array.from(
    { length: 250 },
    (_, i) => ({ address: BUFFERS + 81 * i, length: 77 }),
  );
  const sent = fill(rig, readable, 5);
  rig.driver.add(readable, WRITABLE);
  rig.notify();
  assert(rig.toHost.frames.length > 5, `${rig.toHost.frames.length} frames`);
  rig.settle();
  assertEquals(rig.host.pop()?.pushed, sent);
});

Deno.test("one segment is pushed over several posted writes", () => {
  const rig = new MirrorRig({ maxPayload: 4096, pushLimit: 20_000 });
  const readable = [{ address: BUFFERS + 1, length: 20_000 }];
  const sent = fill(rig, readable, 6);
  rig.driver.add(readable, []);
  rig.notify();
  rig.settle();
  assertEquals(rig.host.pop()?.pushed, sent);
});

Deno.test("a record whose segments alone exceed a posted write is served", async () => {
  const rig = new MirrorRig({ size: 512, maxPayload: 4096, pushLimit: 100, stagingLength: 0x8000 });
  const readable = Array.from(
    { length: 300 },
    (_, i) => ({ address: BUFFERS + 32 * i, length: 9 }),
  );
  const writable = [{ address: 0x10_0000, length: 2700 }];
  const sent = fill(rig, readable, 7);
  rig.driver.add(readable, writable);
  rig.notify();
  rig.settle();
  assertEquals(await serveAll(rig.host), 1);
  rig.settle();
  assertEquals(gather(rig, writable), answer(sent, 2700));
});

Deno.test("chains wait for staging, and go on when chains come back", async () => {
  // Room for 2 records of 16 + 1000 bytes, rounded up.
  const rig = new MirrorRig({ stagingLength: 2048 + 16, eventIndex: false });
  const readable = [{ address: BUFFERS, length: 1000 }];
  const sent = fill(rig, readable, 9);
  const heads = Array.from({ length: 8 }, () => rig.driver.add(readable, []));
  rig.notify();
  rig.settle();
  assertEquals(rig.card.inFlight, 2);
  assertEquals(rig.driver.view.getUint16(0xa000, true), 1, "used.flags: NO_NOTIFY while it waits");
  const used: number[] = [];
  for (let round = 0; round < 4; round++) {
    let chain = rig.host.pop();
    for (; chain !== undefined; chain = rig.host.pop()) {
      assertEquals(chain.pushed, sent);
      rig.host.push(chain, 0);
    }
    rig.host.publish();
    rig.settle();
    for (let e = rig.driver.takeUsed(); e; e = rig.driver.takeUsed()) used.push(e.id);
  }
  assertEquals(used, heads);
  assertEquals(rig.driver.view.getUint16(0xa000, true), 0, "used.flags: notify again");
  assertEquals(await serveAll(rig.host), 0);
});

Deno.test("a stalled queue with EVENT_IDX asks for no notification", () => {
  const rig = new MirrorRig({ stagingLength: 1024 });
  for (let i = 0; i < 4; i++) rig.driver.add([{ address: BUFFERS, length: 400 }], []);
  assertEquals(rig.driver.shouldNotify(), true);
  rig.card.kick();
  assert(rig.card.inFlight < 4);
  rig.driver.add([{ address: BUFFERS, length: 400 }], []);
  assertEquals(rig.driver.shouldNotify(), false);
});

Deno.test("one chain that stays does not keep the others from staging", async () => {
  const rig = new MirrorRig({ stagingLength: 4096 });
  const piece = [{ address: BUFFERS, length: 500 }];
  rig.driver.add(piece, []);
  rig.notify();
  rig.settle();
  const slow = rig.host.pop()!;
  for (let i = 0; i < 50; i++) {
    rig.driver.add(piece, []);
    rig.notify();
    rig.settle();
    assertEquals(await serveAll(rig.host), 1);
    rig.settle();
    assertEquals(rig.driver.takeUsed()?.len, 0);
  }
  rig.host.push(slow, 0);
  rig.host.publish();
  rig.settle();
  assertEquals(rig.card.inFlight, 0);
});

Deno.test("a chain larger than half the staging area is pushed as far as that, and fetched", async () => {
  const rig = new MirrorRig({ stagingLength: 1024, pushLimit: 4096 });
  const readable = [{ address: BUFFERS, length: 3000 }];
  const sent = fill(rig, readable, 11);
  rig.driver.add(readable, []);
  rig.notify();
  rig.settle();
  const chain = rig.host.pop()!;
  assertEquals(chain.pushed.length, 512 - 32);
  assertEquals(await rig.host.fetch(chain, new AbortController().signal), sent);
});

Deno.test("a link that wants no more stops the walk, and its call goes on with it", () => {
  const rig = new MirrorRig();
  rig.toHost.writable = false;
  rig.driver.add([{ address: BUFFERS, length: 1 }], []);
  rig.notify();
  rig.card.kick();
  assertEquals([rig.card.inFlight, rig.toHost.waiting], [0, 1], "asked once, posted nothing");
  rig.toHost.writable = true;
  assertEquals(rig.card.inFlight, 1);
  rig.toHost.writable = false;
  rig.driver.add([{ address: BUFFERS, length: 1 }], []);
  rig.notify();
  rig.toHost.writable = true;
  assertEquals(rig.card.inFlight, 2, "and the next time too");
});

Deno.test("every posted index brings MSI while the host wants it, none while it does not", () => {
  const rig = new MirrorRig();
  const offer = () => {
    rig.driver.add([{ address: BUFFERS, length: 1 }], []);
    rig.notify();
    rig.settle();
  };
  offer();
  offer();
  assertEquals(rig.msis, 2, "the host has not even looked");
  rig.host.wantMsi(false);
  rig.settle();
  offer();
  assertEquals(rig.msis, 2);
  rig.host.wantMsi(true);
  rig.settle();
  assertEquals(rig.msis, 3, "three records are waiting");
});

Deno.test("used chains bring no MSI of their own, with records still waiting", () => {
  const rig = new MirrorRig();
  for (let i = 0; i < 2; i++) rig.driver.add([{ address: BUFFERS, length: 1 }], []);
  rig.notify();
  rig.settle();
  rig.host.push(rig.host.pop()!, 0);
  rig.host.publish();
  rig.settle();
  assertEquals([rig.doorbells, rig.msis], [2, 1]);
});

Deno.test("a record that crosses the host's wish for MSI on the way is announced", () => {
  const rig = new MirrorRig();
  rig.host.wantMsi(false);
  rig.settle();
  rig.host.wantMsi(true);
  rig.driver.add([{ address: BUFFERS, length: 1 }], []);
  rig.notify();
  while (rig.toHost.deliver());
  assertEquals(rig.msis, 0, "the wish has not arrived");
  rig.settle();
  assertEquals(rig.msis, 1);
});

for (const { eventIndex, wants } of [true, false].map((e) => ({ eventIndex: e, wants: !e }))) {
  Deno.test(`indices go round: 70000 chains, EVENT_IDX ${eventIndex}, MSI wanted ${wants}`, () => {
    const rig = new MirrorRig({ eventIndex });
    rig.host.wantMsi(wants);
    rig.settle();
    const readable = [{ address: BUFFERS, length: 4 }];
    for (let done = 0; done < 70_000;) {
      const msis = rig.msis;
      const interrupts = rig.interrupts;
      const batch = 1 + done % 7;
      for (let i = 0; i < batch; i++) rig.driver.add(readable, []);
      rig.driver.wantInterrupt(true, batch - 1);
      rig.notify();
      rig.settle();
      assertEquals(rig.msis > msis, wants);
      for (let i = 0; i < batch; i++) rig.host.push(rig.host.pop()!, 0);
      rig.host.publish();
      rig.settle();
      assertEquals(rig.interrupts, interrupts + 1);
      for (let i = 0; i < batch; i++) assertEquals(rig.driver.takeUsed()?.len, 0);
      done += batch;
    }
    assertEquals(rig.faults, []);
  });
}

Deno.test("a host that restarts is offered every chain that is not used, in order", async () => {
  const rig = new MirrorRig({ size: 8 });
  const piece = (i: number) => ({ address: BUFFERS + 0x100 * i, length: 16 });
  const back = (i: number) => ({ address: BUFFERS + 0x1000 + 0x100 * i, length: 16 });
  const sent = [0, 1, 2].map((i) => fill(rig, [piece(i)], i + 1));
  const heads = [0, 1, 2].map((i) => rig.driver.add([piece(i)], [back(i)]));
  rig.notify();
  rig.settle();
  // The second is used; the first is half done; the third was seen, and its use never left the host.
  const [first, second, third] = [rig.host.pop()!, rig.host.pop()!, rig.host.pop()!];
  rig.host.push(second, 0);
  rig.host.publish();
  rig.settle();
  rig.host.write(first, 0, new Uint8Array(8));
  rig.settle();
  rig.host.push(third, 0);
  rig.host.publish();
  rig.restartHost();
  rig.settle();
  assertEquals(rig.driver.takeUsed()?.id, heads[1]);
  const served = [rig.host.pop()!, rig.host.pop()!];
  assertEquals(served.map((c) => c.head), [heads[0], heads[2]]);
  assertEquals(served.map((c) => c.pushed), [sent[0], sent[2]]);
  assertEquals(rig.host.pop(), undefined);
  for (const chain of served) rig.host.push(chain, 0);
  rig.driver.add([piece(3)], [back(3)]);
  rig.notify();
  rig.settle();
  assertEquals(await serveAll(rig.host), 1);
  rig.settle();
  assertEquals([1, 2, 3].map(() => rig.driver.takeUsed() !== undefined), [true, true, true]);
  assertEquals([rig.card.inFlight, rig.card.strayUsed, rig.faults.length], [0, 0, 0]);
});

Deno.test("chains owed to a host that restarted wait for staging as new ones do", async () => {
  const rig = new MirrorRig({ stagingLength: 2048 });
  for (let i = 0; i < 3; i++) {
    rig.driver.add([{ address: BUFFERS, length: i < 2 ? 10 : 900 }], []);
  }
  rig.notify();
  rig.settle();
  // A piece that no record can have beside it: the next one finds staging full.
  rig.restartHost();
  for (let i = 0; i < 5; i++) rig.driver.add([{ address: BUFFERS, length: 900 }], []);
  rig.notify();
  rig.settle();
  let served = 0;
  for (let round = 0; round < 8; round++) {
    served += await serveAll(rig.host);
    rig.settle();
  }
  assertEquals(served, 8);
  assertEquals(rig.faults, []);
});

Deno.test("whatever the sizes and delays, every chain is answered, whole and once", async () => {
  const size = 8;
  const share = (MEMORY_SIZE - BUFFERS) / size;
  const lengths = fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 4 });
  const step = fc.oneof(
    fc.record({ add: fc.record({ readable: lengths, writable: lengths, indirect: fc.boolean() }) }),
    fc.constant({ deliver: "toHost" as const }),
    fc.constant({ deliver: "toCard" as const }),
    fc.record({ serve: fc.nat() }),
    fc.constant({ publish: true }),
    fc.record({ writable: fc.boolean() }),
    fc.constant({ restart: true }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        eventIndex: fc.boolean(),
        maxPayload: fc.constantFrom(4096, 8192),
        pushLimit: fc.constantFrom(0, 16, 1500, 1 << 20),
        stagingLength: fc.constantFrom(160, 1000, 4096, 16384),
      }),
      fc.array(step, { maxLength: 100, size: "max" }),
      async (options, steps) => {
        const rig = new MirrorRig({ size, ...options });
        const expected = new Map<
          number,
          { sent: Uint8Array; writable: Piece[]; place: number }
        >();
        let taken: NonNullable<ReturnType<typeof rig.host.pop>>[] = [];
        const collect = () => {
          for (let e = rig.driver.takeUsed(); e; e = rig.driver.takeUsed()) {
            const { sent, writable } = expected.get(e.id)!;
            assertEquals(gather(rig, writable), answer(sent, e.len));
            expected.delete(e.id);
          }
        };
        const serve = async (which: number) => {
          for (let c = rig.host.pop(); c; c = rig.host.pop()) taken.push(c);
          if (taken.length === 0) return;
          // Out of order: any of those taken.
          const chain = taken.splice(which % taken.length, 1)[0]!;
          const read = await rig.host.fetch(chain, new AbortController().signal);
          const bytes = answer(read, chain.writableLength);
          rig.host.writeWith(chain, 0, bytes.length, (into, at) => {
            into.set(bytes.subarray(at, at + into.length));
          });
          rig.host.push(chain, bytes.length);
        };
        for (const action of steps) {
          if ("add" in action) {
            const { readable, writable, indirect } = action.add;
            const count = readable.length + writable.length;
            if (count === 0 || rig.driver.freeDescriptors < (indirect ? 1 : count)) continue;
            // Buffers of one head never touch those of another.
            const places = new Set([...expected.values()].map((e) => e.place));
            let place = 0;
            while (places.has(place)) place++;
            const base = BUFFERS + share * place;
            let at = base + 16 * size;
            const next = (length: number) => ({ address: (at += length + 1) - length, length });
            const pieces = [readable.map(next), writable.map(next)] as const;
            const sent = fill(rig, pieces[0], at);
            const head = rig.driver.add(...pieces, indirect ? base : undefined);
            expected.set(head, { sent, writable: pieces[1], place });
            rig.notify();
          } else if ("deliver" in action) rig[action.deliver].deliver();
          else if ("serve" in action) await serve(action.serve);
          else if ("publish" in action) rig.host.publish();
          else if ("writable" in action) rig.toHost.writable = action.writable;
          else {
            rig.restartHost();
            taken = [];
          }
          collect();
        }
        rig.toHost.writable = true;
        for (let i = 0; i < 20 * size; i++) {
          rig.settle();
          await serve(i);
          rig.host.publish();
        }
        rig.settle();
        collect();
        assertEquals(expected.size, 0);
        assertEquals([rig.card.inFlight, rig.card.strayUsed, rig.faults.length], [0, 0, 0]);
      },
    ),
    { numRuns: 300 },
  );
});
