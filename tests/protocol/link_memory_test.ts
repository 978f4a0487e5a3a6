// The bound of protocol/README.md, "Memory": whatever a peer does, and does not, a session holds no more.
import { setImmediate } from "node:timers/promises";
import { assert, assertEquals } from "@std/assert";
import { DEFAULT_LIMITS, type LinkCounters, type LinkLimits } from "../../protocol/mod.ts";
import { SendCredits } from "../../protocol/link/credits.ts";
import { TYPE } from "../../protocol/link/frame.ts";
import { Incoming } from "../../protocol/link/incoming.ts";
import { Outgoing } from "../../protocol/link/outgoing.ts";
import { PendingRequests } from "../../protocol/link/pending.ts";
import { RegisterAccess } from "../../protocol/link/request.ts";
import { turnsUntil } from "../support/turns.ts";
import { linkPair } from "../support/link_pair.ts";
import {
  cardGreeting,
  frame,
  hex,
  rawCard,
  rawHost,
  type RawPeer,
  type Victim,
} from "../support/link_peer.ts";

const FIRST = 0xffff_ff00;
const KIB = 1024;
const MIB = 1024 * KIB;

/** Worked out by hand from the formula, for the default limits. */
const RECEIVE_BUFFER = 352_288;
const CHUNK = 1088 * KIB;
const HIGH_WATER = 8 * MIB;
const COMPLETIONS = 256 * (16 + 128 * KIB);
/** What a chunk may lack of being full: the largest frame, but for a byte. */
const LARGEST = 16 + 128 * KIB + 12 * KIB;
/** The chunks that are kept for reuse: for what is below the high-water mark, and two more. */
const KEPT = HIGH_WATER + 2 * CHUNK;
const bound = (offered: number) =>
  RECEIVE_BUFFER + CHUNK +
  Math.max(KEPT, (HIGH_WATER + COMPLETIONS + offered) * CHUNK / (CHUNK - LARGEST));

const VICTIMS = [
  { role: "host", victim: () => rawCard({}, cardGreeting({ limits: GENEROUS })) },
  { role: "card", victim: () => rawHost({}, { limits: GENEROUS }) },
];
/** A peer that says it takes any amount at once. */
const GENEROUS: LinkLimits = { ...DEFAULT_LIMITS, postedBytes: 2 ** 30, postedFrames: 2 ** 20 };

/** A peer that reads all and acknowledges nothing, and uses up what credit it gets. */
class Greedy {
  /** Reads and writes that it may send, as far as it was told. */
  requests: number = DEFAULT_LIMITS.nonPosted;
  frames: number = DEFAULT_LIMITS.postedFrames;
  sent = 0;
  /** Last sequence number of the link that came. */
  received = FIRST - 1;
  completions = 0;
  pongs = 0;
  readonly #peer: RawPeer;
  readonly reading: Promise<void>;

  constructor(peer: RawPeer) {
    this.#peer = peer;
    this.reading = this.#read();
  }

  send(type: number, tag: number, body: Uint8Array): Promise<void> {
    return this.#peer.send(frame(type, { tag, sequence: (FIRST + this.sent++) >>> 0 }, body));
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        const { type, sequence, body } = await this.#peer.frame();
        if (type >= 0x10) this.received = sequence;
        if (type === 0x30) this.completions++;
        if (type === 0x04) this.pongs++;
        if (type !== 0x02) continue;
        const view = new DataView(body.buffer);
        this.frames = view.getUint32(4, true);
        this.requests = view.getUint32(8, true);
      }
    } catch {
      // The test is over.
    }
  }
}

for (const { role, victim } of VICTIMS) {
  Deno.test(`a ${role} holds no more than its bound for a peer that asks for all and acknowledges nothing`, async () => {
    await using attacked: Victim = await victim();
    const { link, peer } = attacked;
    const greedy = new Greedy(peer);
    const read = hex("0000000000000000 00000200"); // 128 KiB
    const nowhere = hex("0000000000008000 00000000 0000000000008000 01000000 aa");
    let reads = 0;
    let held = 0;
    // Reads as long as there is credit for them; after each a write that nobody claims, which is told of.
    for (;;) {
      while (reads < greedy.requests) {
        await greedy.send(0x20, reads++, read);
        await greedy.send(0x10, 2, nowhere);
        held = Math.max(held, link.heldBytes);
      }
      // No more after a round trip: its answer would have brought more credit.
      const { requests, pongs } = greedy;
      await peer.send(frame(0x03, {}, hex("01000000")));
      await turnsUntil(() => greedy.pongs > pongs, "the link answers");
      if (greedy.requests === requests) break;
    }
    for (let i = 0; i < 10_000; i++) await greedy.send(0x10, 2, nowhere);
    held = Math.max(held, link.heldBytes);
    console.log(`figure: held ${(held / MIB).toFixed(1)} MiB of ${(bound(24) / MIB).toFixed(1)}`);
    assert(held <= bound(24), `${held} bytes, ${bound(24)} allowed`);
    assert(reads >= DEFAULT_LIMITS.nonPosted, `${reads} reads`);
    // It takes the answers after all: everything moves again.
    await turnsUntil(() => greedy.completions === reads, "all answers are there");
    await peer.send(frame(0x03, { ack: greedy.received }, hex("02000000")));
    await turnsUntil(() => greedy.requests > reads, "there is credit again");
    await greedy.send(0x20, 7, read);
    await turnsUntil(() => greedy.completions === reads + 1, "the next read is answered");
    assert(link.heldBytes <= RECEIVE_BUFFER + KEPT, `${link.heldBytes} bytes are kept`);
    peer.transport.close();
    await greedy.reading;
  });

  Deno.test(`a ${role} that offers all it can to a peer that takes nothing holds no more than its bound`, async () => {
    await using attacked: Victim = await victim();
    const { link, peer } = attacked;
    const data = new Uint8Array(100 * KIB);
    const post = () => {
      while (link.writable) link.postWrite(0, data);
      link.onWritable(post);
    };
    post();
    assert(link.heldBytes <= bound(data.length), `${link.heldBytes} bytes`);
    assert(
      link.heldBytes > RECEIVE_BUFFER + MIB,
      "what waits for the transport is a little more than that",
    );
    const greedy = new Greedy(peer);
    const before = greedy.received;
    await peer.send(frame(0x03, {}, hex("01000000")));
    await turnsUntil(() => greedy.pongs > 0, "the link answers");
    await turnsUntil(() => greedy.received !== before, "what was offered comes");
    // What is taken is replaced: a hundred times as much goes through, and no more is held.
    for (let goal = 0; goal < 400 * MIB; goal = link.counters.bytesSent) {
      await peer.send(frame(0x03, { ack: greedy.received }, hex("01000000")));
      await turnsUntil(() => link.counters.bytesSent > goal, "more comes");
      assert(link.heldBytes <= bound(data.length), `${link.heldBytes} bytes`);
    }
    peer.transport.close();
    await greedy.reading;
  });
}

Deno.test("two links that are stalled while both sides offer and ask for all they can hold no more than their bound", async () => {
  let stalled: Promise<void> | undefined;
  let release = () => {};
  await using pair = await linkPair({
    filter: (_n, card, host) => [
      {
        peer: card.peer,
        async read(into) {
          const count = await card.read(into);
          // In memory nothing else would ever let the event loop turn.
          await (stalled ?? setImmediate());
          return count;
        },
        write: (bytes) => card.write(bytes),
        close: () => card.close(),
        [Symbol.asyncDispose]: () => card[Symbol.asyncDispose](),
      },
      host,
    ],
  });
  const { card, host } = pair;
  await card.configRead(0, 4);
  let read = 0;
  let over = false;
  const data = new Uint8Array(64 * KIB);
  const busy = [card, host].flatMap((link) => {
    const post = () => {
      if (over) return;
      while (link.writable) link.postWrite(0, data);
      link.onWritable(post);
    };
    post();
    return Array.from({ length: 4 }, async () => {
      for (; !over; read++) await link.memoryRead(0, 512 * KIB);
    });
  });
  await turnsUntil(() => read > 8, "both sides are busy");
  stalled = new Promise((resolve) => release = resolve);
  await setImmediate();
  const { bytesReceived } = card.counters;
  for (let turn = 0; turn < 200; turn++) await setImmediate();
  assertEquals(card.counters.bytesReceived, bytesReceived);
  for (const link of [card, host]) {
    assert(link.heldBytes <= bound(data.length), `${link.heldBytes} bytes`);
  }
  stalled = undefined;
  release();
  const before = read;
  await turnsUntil(() => read > before + 8, "both sides are busy again");
  over = true;
  await Promise.all(busy);
  assertEquals(pair.cardStatus.filter(({ type }) => type === "lost"), []);
});

Deno.test("reads that are given up hold no buffer, whenever their answers come", async () => {
  const nonPosted = 2000;
  await using card = await rawCard(
    {},
    cardGreeting({ limits: { ...DEFAULT_LIMITS, nonPosted } }),
  );
  const before = Deno.memoryUsage().external;
  for (let round = 0; round < nonPosted; round++) {
    const stop = new AbortController();
    const read = card.link.memoryRead(0, 128 * KIB, stop.signal);
    stop.abort();
    await read.catch(() => {});
  }
  // All are on their way, and their tags taken. Their buffers were 250 MiB; of those that nobody holds some wait to be
  // collected, for as long as the collector's threads have no turn. Whoever takes more memory makes it do its work.
  const grown = () => Deno.memoryUsage().external - before;
  let garbage = new Uint8Array(0);
  await turnsUntil(() => {
    garbage = new Uint8Array(MIB);
    return grown() - garbage.length < 64 * MIB;
  }, "buffers of reads that were given up are let go");
  console.log(`figure: ${Math.round(grown() / MIB)} MiB more after ${nonPosted} reads given up`);
});

Deno.test("PendingRequests keeps no request that was given up before there is credit for it", () => {
  const counters = { framesSent: 0 } as LinkCounters;
  const credits = new SendCredits();
  const outgoing = new Outgoing(credits, new Incoming(DEFAULT_LIMITS), counters, 4096, 4096);
  const pending = new PendingRequests(credits, outgoing);
  const wanted = new RegisterAccess(TYPE.config_read, 0, 4);
  pending.add(wanted);
  for (let round = 0; round < 10_000; round++) {
    const request = new RegisterAccess(TYPE.config_read, 4, 4);
    request.promise.catch(() => {});
    pending.add(request);
    request.fail(new Error("given up"));
    assert(pending.waiting <= 65, `${pending.waiting} wait`);
  }
  credits.update(0, 0, 2);
  pending.release();
  assertEquals([counters.framesSent, pending.waiting], [1, 0]);
});
