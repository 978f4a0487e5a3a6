import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers/promises";
import { dialLink, memoryTransportPair, type Transport } from "../../protocol/mod.ts";
import { encodeGreeting } from "../../protocol/link/greeting.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { RecordingCompleter } from "../support/link_completer.ts";
import { linkPair } from "../support/link_pair.ts";
import { cardGreeting, frame, rawCard, RawPeer } from "../support/link_peer.ts";
import { turnsUntil } from "../support/turns.ts";

Deno.test("a link pings at each heartbeat and measures the round trip", async () => {
  using clock = fakeClock();
  await using card = await rawCard();
  await card.peer.take(28);
  await clock.tick(1999);
  const ping = card.peer.take(20);
  await clock.tick(1);
  assertEquals((await ping).subarray(0, 1), Uint8Array.of(3));
  const id = (await ping).slice(16);
  await clock.tick(30);
  await card.peer.send(frame(0x04, {}, id));
  await clock.tick(0);
  assertEquals(card.link.counters.roundTrip, 30);
});

Deno.test("a transport on which nothing is heard for the silence limit is left, the session is kept", async () => {
  using clock = fakeClock();
  await using card = await rawCard();
  void (async () => {
    const into = new Uint8Array(4096);
    while (await card.peer.transport.read(into) !== null);
  })();
  await clock.tick(11_999);
  assertEquals(card.link.state, "up");
  await clock.tick(1);
  assertEquals(card.link.state, "down");
  const lost = card.statuses.at(-1);
  assert(lost?.type === "lost" && lost.error.message.includes("nothing was heard for 10000 ms"));
});

Deno.test("any byte breaks the silence", async () => {
  using clock = fakeClock();
  await using card = await rawCard();
  void (async () => {
    const into = new Uint8Array(4096);
    while (await card.peer.transport.read(into) !== null);
  })();
  for (let i = 0; i < 10; i++) {
    await clock.tick(9_000);
    await card.peer.send(frame(0x04, {}, new Uint8Array(4)));
  }
  assertEquals(card.link.state, "up");
});

Deno.test("heartbeats get through while both sides send all they can, and nobody is thought dead", async () => {
  const limits = { heartbeat: 100, silence: 200 };
  await using pair = await linkPair({
    cardLimits: limits,
    hostLimits: limits,
    filter: (_n, card, host) => [turning(card), turning(host)],
  });
  let over = false;
  const data = new Uint8Array(64 * 1024);
  const busy = [pair.card, pair.host].map((link) => {
    const post = () => {
      while (link.writable && !over) link.postWrite(0, data);
      if (!over) link.onWritable(post);
    };
    post();
    return (async () => {
      while (!over) await link.memoryRead(0, 512 * 1024);
    })();
  });
  for (const { counters } of [pair.card, pair.host]) {
    for (let beat = 0; beat < 10; beat++) {
      const { roundTrip } = counters;
      await turnsUntil(() => counters.roundTrip !== roundTrip, "a ping is answered");
    }
  }
  over = true;
  await Promise.all(busy);
  assertEquals([...pair.cardStatus, ...pair.hostStatus].filter(({ type }) => type === "lost"), []);
});

/** `inner`, whose reads let the event loop turn, as those of a socket do. */
const turning = (inner: Transport): Transport => ({
  peer: inner.peer,
  async read(into) {
    const count = await inner.read(into);
    await setImmediate();
    return count;
  },
  write: (bytes) => inner.write(bytes),
  close: () => inner.close(),
  [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
});

Deno.test("the smaller heartbeat of both sides holds", async () => {
  using clock = fakeClock();
  const { limits } = cardGreeting();
  await using card = await rawCard({}, cardGreeting({ limits: { ...limits, heartbeat: 500 } }));
  await card.peer.take(28);
  const ping = card.peer.take(20);
  await clock.tick(500);
  assertEquals((await ping)[0], 3);
});

Deno.test("an acknowledgement that finds no frame to ride on leaves after 20 ms", async () => {
  using clock = fakeClock();
  await using card = await rawCard();
  await card.peer.take(28);
  await card.peer.send(frame(0x11, { tag: 1, sequence: 0xffff_ff00 }, new Uint8Array(8)));
  const credit = card.peer.take(28);
  await clock.tick(19);
  const [early] = await Promise.all([Promise.race([credit.then(() => true), false])]);
  assertEquals(early, false);
  await clock.tick(1);
  const bytes = await credit;
  assertEquals([bytes[0], new DataView(bytes.buffer).getUint32(12, true)], [2, 0xffff_ff00]);
});

Deno.test("credit for a quarter of the window comes back without waiting for a timer", async () => {
  using _clock = fakeClock();
  await using card = await rawCard({ postedFrames: 8 });
  await card.peer.take(28);
  const message = (n: number) =>
    frame(0x11, { tag: 1, sequence: 0xffff_ff00 + n }, new Uint8Array(8));
  await card.peer.send(message(0), message(1));
  const { type, body } = await card.peer.frame();
  assertEquals([type, body[4]], [2, 10]);
});

Deno.test("a goodbye of silence ends the connection and keeps the session", async () => {
  await using card = await rawCard();
  await card.peer.send(frame(0x01, { code: 6 }, new TextEncoder().encode("hello?")));
  const end = new Uint8Array(28);
  while (await card.peer.transport.read(end) !== null);
  assertEquals(card.statuses.map((status) => status.type), ["up", "lost"]);
  assertEquals(card.link.state, "down");
});

Deno.test("both sides saying goodbye at once wait for no timer", async () => {
  using _clock = fakeClock();
  await using pair = await linkPair();
  await pair.card.configRead(0, 4);
  await Promise.all([pair.card.close("shutdown"), pair.host.close("shutdown")]);
  assertEquals([pair.card.state, pair.host.state], ["closed", "closed"]);
});

Deno.test("an aborted dial does not wait for the host's greeting to come too late", async () => {
  using _clock = fakeClock();
  const [near, far] = memoryTransportPair();
  const stop = new AbortController();
  const link = dialLink(
    () => Promise.resolve(near),
    { role: "card", completer: new RecordingCompleter(), identity: new Uint8Array(16) },
    stop.signal,
  );
  await new RawPeer(far).greeting();
  stop.abort();
  await link.closed;
});

Deno.test("a goodbye is not waited on for more than a second", async () => {
  using clock = fakeClock();
  await using card = await rawCard();
  void card.link.close("shutdown");
  await clock.tick(999);
  assertEquals(card.link.state, "closing");
  await clock.tick(1);
  assertEquals(card.link.state, "closed");
  await card.link.closed;
});

Deno.test("a connection that does not greet is closed after 10 s", async () => {
  using clock = fakeClock();
  await using card = await rawCard();
  const [near, far] = memoryTransportPair();
  const served = card.server.serve(near);
  await far.write(encodeGreeting(cardGreeting()).subarray(0, 127));
  await clock.tick(9_999);
  const end = new RawPeer(far).take(1).catch((error: Error) => error.message);
  await clock.tick(1);
  assertEquals(await end, "Stream ended after 0 of 1 bytes");
  await served;
});
