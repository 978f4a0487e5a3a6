// A card process that keeps to the wire and to nothing else: what it says of its rings, records and state is wrong, one
// thing at a time, against a whole host (protocol/README.md, "Device page" and "Virtqueue mirror").
import { assert, assertEquals } from "@std/assert";
import type { DriverFault } from "../../protocol/mod.ts";
import {
  CARD_MEMORY,
  CONFIG_WRITE,
  HostileCard,
  MSI,
  POST_CODE,
  type RawRecord,
  SIZE,
} from "../support/hostile_card.ts";
import { turnsUntil } from "../support/turns.ts";

const FAULT_NUMBER: Partial<Record<DriverFault, number>> = {
  "chain-order": 3,
  "available-index": 7,
  "head-in-flight": 8,
  request: 9,
  "queue-setup": 10,
  features: 11,
  record: 12,
};

interface CardAct {
  readonly what: string;
  /** Slot of the device; the first disk if it does not say. */
  readonly slot?: 0 | 2;
  /** The device is not started. */
  readonly idle?: boolean;
  act(card: HostileCard): void | Promise<void>;
}

async function begin({ slot = 0, idle }: CardAct): Promise<HostileCard> {
  const card = await HostileCard.boot();
  card.start(1);
  await card.read(1);
  if (!idle) {
    card.start(slot);
    if (slot === 0) await card.read(0);
  }
  return card;
}

/** The disk beside it is as before, and a reset makes the device as new. */
async function recovers(card: HostileCard, slot: number): Promise<void> {
  await card.read(1);
  assertEquals(card.slot(1).needs_reset, 0);
  await card.reset(slot);
  assertEquals(card.slot(slot).needs_reset, 0);
  card.refusesReads = false;
  card.start(slot);
  if (slot === 0) await card.read(0);
  await card.settled();
  assertEquals(card.driver.state, "online");
}

/** The host marks the device, counts `fault` once, and serves it again after a reset. */
function breaksDevice(fault: DriverFault, acts: readonly CardAct[]): void {
  for (const act of acts) {
    Deno.test(`${act.what}: the host counts ${fault}, and serves the device after its reset`, async () => {
      await using card = await begin(act);
      const { slot = 0 } = act;
      await act.act(card);
      await turnsUntil(() => card.slot(slot).needs_reset !== 0, "the device needs a reset");
      assertEquals(card.slot(slot).needs_reset, FAULT_NUMBER[fault]);
      assertEquals(card.driver.faults, { [fault]: 1 });
      await recovers(card, slot);
      assertEquals(card.driver.faults, { [fault]: 1 });
    });
  }
}

function doesNothing(acts: readonly CardAct[]): void {
  for (const act of acts) {
    Deno.test(`${act.what}: nothing comes of it`, async () => {
      await using card = await begin(act);
      const { slot = 0 } = act;
      await act.act(card);
      await card.settled();
      assertEquals([card.slot(slot).needs_reset, card.driver.faults], [0, {}]);
      if (slot === 0 && !act.idle) await card.read(0);
      await recovers(card, slot);
      assertEquals(card.driver.faults, {});
    });
  }
}

/** One record on the disk's queue. */
const record = (what: string, record: RawRecord, offset = 0): CardAct => ({
  what,
  act: (card) => card.offer(0, { head: card.queue(0).index % SIZE, ...record }, { offset }),
});
/** Where a record is said to lie. */
const place = (what: string, offset: number): CardAct => ({
  what,
  act: (card) => card.announce(0, 0, offset),
});
const SEGMENT = [0, 512] as const;

breaksDevice("record", [
  place("a record that is not aligned", 8),
  place("a record past staging", 1 << 30),
  place("a record at the last bytes of 2^32", 0xffff_fff0),
  record("a head that is the queue size", { head: SIZE }),
  record("a head of 65535", { head: 0xffff }),
  record("more readable segments than the queue has entries", { readable: SIZE + 1 }),
  record("65535 segments of each kind", { readable: 0xffff, writable: 0xffff }),
  record("pushed bytes of 2^32 - 1", { readableLength: 2 ** 32 - 1, pushedLength: 2 ** 32 - 1 }),
  record("more pushed bytes than readable ones", { readableLength: 16, pushedLength: 17 }),
  record("readable bytes that are neither pushed nor listed", { readableLength: 512 }),
  record("an empty segment", { writable: 1, segments: [[0, 0]] }),
  record("a segment past card memory", { writable: 1, segments: [[CARD_MEMORY - 511, 512]] }),
  record("a segment of the card page", { writable: 1, segments: [[CARD_MEMORY, 512]] }),
  record("a segment at 2^52 - 512", { writable: 1, segments: [[2 ** 52 - 512, 512]] }),
  record("a segment that wraps round 2^64", { writable: 1, segments: [[2n ** 64n - 256n, 512]] }),
  record("segments of 2^32 bytes and more", {
    readable: SIZE / 2,
    writable: SIZE / 2,
    readableLength: 2 ** 32 - 1,
    segments: Array.from({ length: SIZE }, () => [0, CARD_MEMORY] as const),
  }),
  {
    what: "a fault number that does not exist",
    act: (card) => card.tell(0, { status: 15, features_accepted: 1n << 32n, fault: 999 }),
  },
  {
    what: "a card that refuses the read of its own chain",
    act(card) {
      card.refusesReads = true;
      card.offer(0, {
        head: 1,
        readable: 1,
        readableLength: 512,
        writable: 1,
        segments: [SEGMENT, SEGMENT],
      });
    },
  },
]);

breaksDevice("available-index", [
  ...[SIZE + 1, 0x8000, 0xffff].map((by): CardAct => ({
    what: `a mirror index ahead by ${by}`,
    act(card) {
      const { offer, index } = card.queue(0);
      card.write16(offer.mirrorAddress + 2, (index + by) & 0xffff);
      card.msi(1);
    },
  })),
]);

breaksDevice("head-in-flight", [{
  what: "a head that is in use twice",
  async act(card) {
    const gate = Promise.withResolvers<void>();
    card.gate = gate.promise;
    const twice = {
      head: 5,
      readableLength: 16,
      pushedLength: 16,
      data: new Uint8Array(16),
      writable: 1,
      segments: [SEGMENT],
    };
    card.offer(0, { ...twice, segments: [[0, 513]] });
    card.offer(0, twice, { offset: 1024 });
    await card.settled();
    gate.resolve();
  },
}]);

breaksDevice("request", [
  record("a record of nothing", {}),
  record("a request without room for a status", {
    readableLength: 16,
    pushedLength: 16,
    data: new Uint8Array(16),
  }),
]);

const queue = (what: string, values: Parameters<HostileCard["tellQueue"]>[2]): CardAct => ({
  what,
  idle: true,
  act(card) {
    card.tellQueue(0, 0, values);
    card.tell(0, { status: 15, features_accepted: 1n << 32n });
  },
});

breaksDevice("queue-setup", [
  queue("a queue of no entries", { size: 0 }),
  queue("a queue of 3 entries", { size: 3 }),
  queue("a queue of 65535 entries", { size: 0xffff }),
  queue("a queue larger than offered", { size: 256 }),
  queue("rings past card memory", { used_ring: CARD_MEMORY }),
  queue("rings in the card page", { used_ring: CARD_MEMORY + 4096 }),
  queue("rings at 2^52", { available_ring: 2 ** 52 - 4096 }),
  queue("a misaligned used ring", { used_ring: 2 }),
  queue("a disk without its queue", { enabled: 0 }),
  {
    what: "a network without its queues",
    slot: 2,
    idle: true,
    act: (card) => card.tell(2, { status: 15, features_accepted: 1n << 32n }),
  },
]);

const features = (what: string, features_accepted: bigint, status = 15): CardAct => ({
  what,
  idle: true,
  act(card) {
    card.tellQueue(0, 0);
    card.tell(0, { status, features_accepted });
  },
});

breaksDevice("features", [
  features("a feature that was not offered", 1n << 32n | 1n << 3n),
  features("all features there are", 2n ** 64n - 1n),
  features("no VERSION_1", 0n),
  features("a status of all ones", 0n, 0xffff_ffff),
]);

breaksDevice("chain-order", [{
  what: "a fault of the card's own walker",
  act: (card) =>
    card.tell(0, { status: 15, features_accepted: 1n << 32n, fault: 3, fault_queue: 999 }),
}]);

const LIVE = { status: 15, features_accepted: 1n << 32n };

doesNothing([
  {
    what: "MSI for vectors and slots that do not exist",
    act(card) {
      for (const vector of [3, 4, 31, 32, 33, 255, 0x8000_0000, 0xffff_ffff]) card.msi(vector);
    },
  },
  {
    what: "messages that do not exist, and those that mean nothing to a host",
    act(card) {
      for (const code of [0, 2, 3, 6, 7, 0xff, 0xffff]) {
        for (const a of [0, 0x19, 0x31, 0xffff_ffff]) card.link.message(code as 1, a, 0xffff_ffff);
      }
    },
  },
  {
    what: "configuration writes for slots that do not exist, of odd widths and past the end",
    act(card) {
      for (const slot of [0, 1, 2, 3, 30, 31, 255]) {
        for (const width of [0, 1, 2, 3, 4, 8, 255]) {
          for (const offset of [0, 32, 255, 256, 0xffff]) {
            card.link.message(CONFIG_WRITE, (slot | width << 8 | offset << 16) >>> 0, 0xffff_ffff);
          }
        }
      }
    },
  },
  {
    what: "POST codes of all numbers",
    act(card) {
      for (let code = 0; code < 0x1_0100; code += 7) card.link.message(POST_CODE, code);
    },
  },
  {
    what: "a status that goes back and forth",
    act(card) {
      for (const status of [11, 3, 0, 0x40, 0x80, 0xff, 15]) card.tell(0, { ...LIVE, status });
    },
  },
  {
    what: "queues that change while the device is live",
    act(card) {
      const { index } = card.queue(0);
      card.tellQueue(0, 0, { size: 3, used_ring: CARD_MEMORY, enabled: 0 });
      card.tell(0, LIVE);
      card.tellQueue(0, 0);
      card.queue(0).index = index;
    },
  },
  {
    what: "a header of nonsense, and states that do not exist",
    act(card) {
      card.report({ card_state: 99, text_length: 2 ** 32 - 1 });
      card.report({ card_state: 0xffff_ffff });
      card.report({ card_state: 5, text_length: 2 ** 32 - 1 });
      card.report({ magic: 0, card_state: 4 });
      card.report({ version: 9, card_state: 4 });
      card.report({ card_state: 1 });
      card.report({ card_state: 3, heartbeat: 2 ** 32 - 1 });
    },
  },
  {
    what: "writes everywhere but where it may",
    async act(card) {
      const { offer } = card.queue(0);
      const ends = [
        card.hostPage - 1,
        card.hostPage + 4096 * 32 - 2,
        offer.stagingAddress - 1,
        offer.stagingAddress + offer.stagingLength - 2,
        offer.mirrorAddress - 1,
        0,
        2 ** 32,
        2 ** 40,
        2 ** 52 - 4,
      ];
      for (const address of ends) card.write(address, new Uint8Array(4).fill(0xff));
      const before = card.endpoint.hostErrors;
      await card.settled();
      assertEquals(card.endpoint.hostErrors - before, ends.length);
    },
  },
  {
    what: "reads of what it may only write, and of everything else",
    async act(card) {
      const { offer } = card.queue(0);
      for (const at of [card.hostPage, offer.mirrorAddress, offer.stagingAddress, 0, 2 ** 39]) {
        const read = card.link.memoryRead(at, 16).then(() => "read", () => "refused");
        assertEquals(await read, "refused");
      }
      for (const refused of [card.link.configRead(0, 4), card.link.ioWrite(0x80, 1, 0)]) {
        assertEquals(await refused.then(() => "done", () => "refused"), "refused");
      }
    },
  },
]);

Deno.test("a device that is reset without end is reset, and nothing grows of it", async () => {
  await using card = await HostileCard.boot();
  card.start(1);
  for (let round = 0; round < 200; round++) {
    card.start(0);
    if (round % 3 > 0) card.offer(0, {});
    if (round % 2 > 0) await card.settled();
    await card.reset(0);
  }
  await card.read(1);
  card.start(0);
  await card.read(0);
  assertEquals(card.driver.faults.internal, undefined);
  assert(card.host.cards.get("mic0")!.linkUp);
});

Deno.test("MSI in one batch are one look at a device, whatever their number", async () => {
  await using card = await HostileCard.boot();
  card.start(1);
  await card.read(1);
  for (let i = 0; i < 10_000; i++) card.link.message(MSI, 2);
  await card.settled();
  await card.read(1);
});
