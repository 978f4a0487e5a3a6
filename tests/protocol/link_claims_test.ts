// Who says to be a card that is there: protocol/README.md, "Claims".
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  dialLink,
  GOODBYE,
  type Link,
  LinkServer,
  type LinkStatus,
  memoryTransportPair,
  type Transport,
} from "../../protocol/mod.ts";
import { encodeGreeting } from "../../protocol/link/greeting.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { RecordingCompleter } from "../support/link_completer.ts";
import { cardGreeting, frame, type RawCard, rawCard, RawPeer } from "../support/link_peer.ts";

/** Another connection to the host of `card`, whose peer greets to resume its session. */
function claim(card: RawCard): Claimant {
  return greet(card, { session: card.answer.slice(40, 56), epoch: 0x1122n });
}

interface Claimant {
  readonly peer: RawPeer;
  readonly served: Promise<void>;
}

function greet(card: RawCard, changes: Parameters<typeof cardGreeting>[0]): Claimant {
  const [near, far] = memoryTransportPair();
  const served = card.server.serve(near);
  const peer = new RawPeer(far);
  void peer.send(encodeGreeting(cardGreeting(changes))).catch(() => {});
  return { peer, served };
}

/** The card's own connection answers pings from now on. */
async function answerPings({ peer }: RawCard): Promise<void> {
  try {
    for (;;) await peer.send(frame(0x04, {}, (await peer.next(0x03)).body));
  } catch {
    // The test is over.
  }
}

const CLAIMS = [
  { who: "resumes its session", greet: claim },
  { who: "asks for a new session as the same card", greet: (card: RawCard) => greet(card, {}) },
];

for (const { who, greet } of CLAIMS) {
  Deno.test(`a connection that ${who} is refused while the card answers on its own`, async () => {
    await using card = await rawCard();
    void answerPings(card);
    const { peer, served } = greet(card);
    const { type, code, body } = await peer.frame();
    assertEquals([type, code], [1, GOODBYE.busy]);
    assertEquals(
      new TextDecoder().decode(body),
      "Cannot serve card: another process with its identity is connected, and answers",
    );
    peer.transport.close();
    await served;
    assertEquals(card.refused.map((text) => text.split(":")[0]), ["busy"]);
    assertEquals(card.statuses.map(({ type }) => type), ["up"]);
    card.link.message(1, 1);
    await card.link.answers();
    assertEquals(card.link.state, "up");
  });

  Deno.test(`a connection that ${who} is served once the card's own was silent for 2 s`, async () => {
    using clock = fakeClock();
    await using card = await rawCard();
    // What comes is not an answer: it may have been on the way for long.
    await card.peer.take(28);
    const { peer, served } = greet(card);
    const greeting = peer.greeting();
    await clock.tick(1_000);
    await card.peer.send(frame(0x04, {}, new Uint8Array(4)));
    await clock.tick(2_000);
    assertEquals(card.statuses.map(({ type }) => type), ["up"]);
    await clock.tick(250);
    await greeting;
    assertEquals(card.statuses[1]?.type, "lost");
    assertEquals(card.refused, []);
    peer.transport.close();
    await served;
  });

  Deno.test(`a connection that ${who} is served as soon as the card's own ends`, async () => {
    using _clock = fakeClock();
    await using card = await rawCard();
    const { peer, served } = greet(card);
    await card.peer.next(0x03);
    card.peer.transport.close();
    await peer.greeting();
    peer.transport.close();
    await served;
  });
}

Deno.test("a resumed session goes on where its silent connection was left", async () => {
  using clock = fakeClock();
  await using card = await rawCard();
  await card.peer.take(28);
  card.link.message(1, 1);
  await card.peer.next(0x11);
  const { peer, served } = claim(card);
  await clock.tick(2_000);
  assertEquals(await peer.greeting(), card.answer);
  assertEquals((await peer.next(0x11)).sequence, 0xffff_ff00);
  const { link } = card;
  assertEquals([link.state, link.counters.reconnects, link.counters.framesReplayed], ["up", 1, 1]);
  peer.transport.close();
  await served;
});

Deno.test("a card whose bytes come all the time is alive, though its answer is far behind them", async () => {
  using clock = fakeClock();
  await using card = await rawCard();
  const { peer, served } = claim(card);
  const answer = peer.frame();
  for (let i = 0; i < 5; i++) {
    await clock.tick(1_000);
    await card.peer.send(frame(0x04, {}, new Uint8Array(4)));
  }
  assertEquals((await answer).code, GOODBYE.busy);
  peer.transport.close();
  await served;
  assertEquals(card.link.state, "up");
});

Deno.test("a session has one connection, however many claim it at once", async () => {
  using clock = fakeClock();
  await using card = await rawCard();
  const claims = [1, 2, 3].map(() => claim(card));
  await clock.tick(2_000);
  const greeted = await Promise.all(claims.map(async ({ peer }) => {
    await peer.greeting();
    return await peer.next(0x02).then(() => true, () => false);
  }));
  assertEquals(greeted.filter(Boolean).length, 1);
  assertEquals([card.link.state, card.link.counters.reconnects], ["up", 1]);
  for (const { peer } of claims) peer.transport.close();
  await Promise.all(claims.map(({ served }) => served));
});

Deno.test("a stranger who asks for a session of his own makes nobody answer for it", async () => {
  await using card = await rawCard();
  await card.peer.take(28);
  const { peer } = greet(card, { identity: new Uint8Array(16).fill(0x55) });
  await peer.greeting();
  card.link.message(1, 1);
  assertEquals((await card.peer.frame()).type, 0x11);
  peer.transport.close();
});

Deno.test("of two new sessions at once, the one that is replaced by the other is no fault of the host's", async () => {
  const refused: string[] = [];
  let current: Link | undefined;
  await using server = new LinkServer({
    epoch: 1n,
    identity: new Uint8Array(16),
    accept: () => ({ completer: new RecordingCompleter() }),
    onLink: (link) => {
      void current?.close("busy");
      current = link;
    },
    onRefused: (_peer, reason, text) => refused.push(`${reason}: ${text}`),
  });
  const ends = [1, 2].map((n) => {
    const [near, far] = memoryTransportPair();
    void server.serve(near);
    const peer = new RawPeer(far);
    void peer.send(encodeGreeting(cardGreeting({ identity: new Uint8Array(16).fill(n) })));
    return peer;
  });
  const greeted = await Promise.allSettled(ends.map((peer) => peer.greeting()));
  assertEquals(greeted[1]!.status, "fulfilled");
  assertEquals(refused, []);
  for (const { transport } of ends) transport.close();
});

Deno.test("a claim that waits ends with its server", async () => {
  const card = await rawCard();
  const { peer, served } = claim(card);
  await card.peer.next(0x03);
  const disposed = card.server[Symbol.asyncDispose]();
  await assertRejects(() => peer.greeting());
  card.peer.transport.close();
  await Promise.all([disposed, served]);
});

Deno.test("a card that is told busy as it resumes keeps its session, and asks again", async () => {
  const statuses: LinkStatus[] = [];
  const up = Promise.withResolvers<Link>();
  await using server = new LinkServer({
    epoch: 1n,
    identity: new Uint8Array(16),
    accept: () => ({ completer: new RecordingCompleter() }),
    onLink: up.resolve,
  });
  let dials = 0;
  let last: Transport | undefined;
  await using card = dialLink(
    () => {
      const [near, far] = memoryTransportPair();
      if (++dials === 2) void turnAway(new RawPeer(far));
      else void server.serve(far);
      return Promise.resolve(last = near);
    },
    {
      role: "card",
      completer: new RecordingCompleter(),
      identity: new Uint8Array(16),
      onStatus: (status) => statuses.push(status),
    },
    new AbortController().signal,
  );
  await (await up.promise).configRead(0, 4);
  last!.close();
  await card.configRead(0, 4);
  assertEquals([dials, card.counters.reconnects], [3, 1]);
  assert(!statuses.some(({ type }) => type === "goodbye"));
});

/** As a host does that serves a living connection of this session. */
async function turnAway(peer: RawPeer): Promise<void> {
  await peer.greeting();
  await peer.send(frame(0x01, { code: 7, ack: 0 }));
}
