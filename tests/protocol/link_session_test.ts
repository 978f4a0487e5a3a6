import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  dialLink,
  LinkError,
  memoryTransportPair,
  MESSAGE,
  UnsupportedRequest,
} from "../../protocol/mod.ts";
import { encodeGreeting } from "../../protocol/link/greeting.ts";
import { RecordingCompleter } from "../support/link_completer.ts";
import { cutAfter } from "../support/link_cutter.ts";
import { cardGreeting, frame, hex, rawCard, RawPeer } from "../support/link_peer.ts";
import { linkPair } from "../support/link_pair.ts";
import { takingNow } from "../support/link_taker.ts";

const FIRST = 0xffff_ff00;
const { limits } = cardGreeting();

Deno.test("posted frames beyond the credit wait, in order, with all that follows them", async () => {
  await using card = await rawCard({}, cardGreeting({ limits: { ...limits, postedFrames: 2 } }));
  for (let n = 0; n < 4; n++) card.link.message(MESSAGE.msi, n);
  await card.peer.send(frame(0x21, { code: 4, sequence: FIRST }, hex("00000000")));
  assertEquals((await card.peer.next(0x11)).body[0], 0);
  assertEquals((await card.peer.next(0x11)).body[0], 1);
  // Credit for one more frame lets one go; the completion is behind the other.
  await card.peer.send(frame(0x02, {}, hex("00000001 03000000 00010000")));
  assertEquals((await card.peer.next(0x11)).body[0], 2);
  await card.peer.send(frame(0x02, {}, hex("00000001 10000000 00010000")));
  const last = await card.peer.next(0x11);
  assertEquals([last.body[0], last.sequence], [3, FIRST + 3]);
  const completion = await card.peer.frame();
  assertEquals([completion.type, completion.sequence], [0x30, FIRST + 4]);
});

Deno.test("non-posted requests beyond the credit are not encoded, and posted frames pass them", async () => {
  await using card = await rawCard({}, cardGreeting({ limits: { ...limits, nonPosted: 1 } }));
  const reads = [
    card.link.configRead(0, 4),
    card.link.configRead(4, 4),
    card.link.configRead(8, 4),
  ];
  card.link.message(MESSAGE.msi, 1);
  assertEquals((await card.peer.next(0x21)).sequence, FIRST);
  assertEquals((await card.peer.next(0x11)).sequence, FIRST + 1);
  await card.peer.send(frame(0x02, {}, hex("00000001 00200000 03000000")));
  assertEquals((await card.peer.next(0x21)).body[0], 4);
  assertEquals((await card.peer.next(0x21)).body[0], 8);
  for (let tag = 0; tag < 3; tag++) {
    await card.peer.send(frame(0x30, { tag, sequence: FIRST + tag }, Uint8Array.of(tag, 0, 0, 0)));
  }
  assertEquals(await Promise.all(reads), [0, 1, 2]);
});

Deno.test("an aborted request keeps its tag until it is answered", async () => {
  await using card = await rawCard();
  const abort = new AbortController();
  const gone = assertRejects(() => card.link.configRead(0, 4, abort.signal), Error, "enough");
  abort.abort(new Error("enough"));
  await gone;
  const kept = card.link.configRead(4, 4);
  assertEquals((await card.peer.next(0x21)).tag, 0);
  assertEquals((await card.peer.next(0x21)).tag, 1);
  await card.peer.send(frame(0x30, { tag: 0, sequence: FIRST }, hex("01000000")));
  await card.peer.send(frame(0x30, { tag: 1, sequence: FIRST + 1 }, hex("02000000")));
  assertEquals(await kept, 2);
});

Deno.test("a request that is aborted before there is credit for it is never sent", async () => {
  await using card = await rawCard({}, cardGreeting({ limits: { ...limits, nonPosted: 1 } }));
  const abort = new AbortController();
  const first = card.link.configRead(0, 4);
  const gone = assertRejects(() => card.link.memoryRead(4, 4, abort.signal));
  const third = card.link.configRead(8, 4);
  abort.abort();
  await gone;
  await card.peer.send(frame(0x30, { sequence: FIRST }, hex("07000000")));
  await card.peer.send(frame(0x02, {}, hex("00000001 00200000 02000000")));
  assertEquals(await first, 7);
  assertEquals((await card.peer.next(0x21)).body[0], 0);
  assertEquals((await card.peer.frame()).body[0], 8);
  await card.peer.send(frame(0x30, { sequence: FIRST + 1 }, hex("09000000")));
  assertEquals(await third, 9);
});

Deno.test("Link.memoryRead() is cut into pieces of the agreed size, all in flight together", async () => {
  await using card = await rawCard({ maxReadRequest: 8192 });
  const read = card.link.memoryRead(0x1000, 20_000);
  const lengths = [];
  for (let tag = 0; tag < 3; tag++) {
    const { body } = await card.peer.next(0x20);
    lengths.push(new DataView(body.buffer).getUint32(8, true));
  }
  assertEquals(lengths, [8192, 8192, 3616]);
  // Answered last piece first.
  for (const [n, tag] of [2, 1, 0].entries()) {
    await card.peer.send(
      frame(0x30, { tag, sequence: FIRST + n }, new Uint8Array(lengths[tag]!).fill(tag + 1)),
    );
  }
  const bytes = await read;
  assertEquals([bytes[0], bytes[8191], bytes[8192], bytes[16384], bytes[19999]], [1, 1, 2, 3, 3]);
});

Deno.test("Link.postWrite() is cut into frames of the agreed payload", async () => {
  await using pair = await linkPair({ cardLimits: { maxPayload: 8192 } });
  pair.host.postWrite(16, Uint8Array.from({ length: 20_000 }, (_, i) => i % 251));
  await pair.cardCompleter.seen(3);
  assertEquals(pair.host.maxPayload, 8192);
  assertEquals(pair.cardCompleter.calls, ["write 16 8192", "write 8208 8192", "write 16400 3616"]);
  assertEquals(pair.cardCompleter.memory[16 + 19_999], 19_999 % 251);
});

Deno.test("what the host posts as it gets its link waits for the connection", async () => {
  await using pair = await linkPair({
    onHost(host) {
      host.message(MESSAGE.power, 1);
      assertEquals([host.maxPayload, host.state], [131_072, "down"]);
    },
  });
  await pair.cardCompleter.seen(1);
  assertEquals(pair.cardCompleter.calls, ["message 2 1 0"]);
});

Deno.test("what the card asks before it is connected is cut as any host takes it", async () => {
  await using stop = new AsyncDisposableStack();
  const [near, far] = memoryTransportPair();
  const link = dialLink(
    () => Promise.resolve(near),
    { role: "card", completer: new RecordingCompleter(), identity: new Uint8Array(16) },
    new AbortController().signal,
  );
  stop.use(link);
  const gone = assertRejects(() => link.memoryRead(0, 8192), LinkError);
  const peer = new RawPeer(far);
  await peer.greeting();
  await peer.send(
    encodeGreeting(cardGreeting({ role: "host", session: new Uint8Array(16).fill(1), epoch: 3n })),
  );
  for (let n = 0; n < 2; n++) {
    assertEquals(new DataView((await peer.next(0x20)).body.buffer).getUint32(8, true), 4096);
  }
  far.close();
  await link.close("shutdown");
  await gone;
});

Deno.test("Link.writable goes with the bytes that are not acknowledged", async () => {
  await using card = await rawCard(
    {},
    cardGreeting({
      limits: { ...limits, maxPayload: 4096, postedBytes: 65_536 },
    }),
  );
  const resumed = Promise.withResolvers<void>();
  let times = 0;
  assert(card.link.writable);
  for (let n = 0; n < 9; n++) card.link.postWrite(0, new Uint8Array(4000));
  assert(!card.link.writable);
  card.link.onWritable(() => {
    times++;
    resumed.resolve();
  });
  for (let n = 0; n < 9; n++) await card.peer.next(0x10);
  assert(!card.link.writable, "read is not acknowledged");
  await card.peer.send(frame(0x03, { ack: FIRST + 8 }, hex("01000000")));
  await resumed.promise;
  assert(card.link.writable);
  await card.peer.send(frame(0x11, { tag: 1, sequence: FIRST }, new Uint8Array(8)));
  await card.completer.seen(1);
  assertEquals(times, 1);
});

Deno.test("Link.writable goes with the bytes that wait for the transport, long before those that are not acknowledged", async () => {
  await using card = await rawCard();
  const MIB = 1024 * 1024;
  const piece = new Uint8Array(64 * 1024);
  let posted = 0;
  for (; card.link.writable; posted += piece.length) card.link.postWrite(0, piece);
  assertEquals(posted, MIB, "the 16th piece makes it 1 MiB, with its headers");
  const resumed = Promise.withResolvers<void>();
  card.link.onWritable(resumed.resolve);
  // They are read, and none is acknowledged.
  for (let got = 0; got < posted; got += piece.length) await card.peer.next(0x10);
  await resumed.promise;
  assert(card.link.writable);
});

Deno.test("who waits for what the network takes at once has his turn without a word from the peer", async () => {
  await using card = await rawCard({}, cardGreeting(), (host) => takingNow(host, () => Infinity));
  const piece = new Uint8Array(64 * 1024);
  while (card.link.writable) card.link.postWrite(0, piece);
  const resumed = Promise.withResolvers<void>();
  card.link.onWritable(resumed.resolve);
  // The peer reads nothing.
  await resumed.promise;
  assert(card.link.writable);
});

Deno.test("Link.writable is true for those who waited, in turn, before it is for who comes by", async () => {
  await using card = await rawCard(
    {},
    cardGreeting({
      limits: { ...limits, maxPayload: 4096, postedBytes: 65_536 },
    }),
  );
  await card.peer.send(frame(0x02, {}, hex("00000010 00200000 00010000")));
  const turns: string[] = [];
  /** Takes all the room that there is, and waits for more. */
  const greedy = (name: string) => {
    if (card.link.writable) turns.push(name);
    while (card.link.writable) card.link.postWrite(0, new Uint8Array(4000));
    card.link.onWritable(() => greedy(name));
  };
  greedy("first");
  greedy("second");
  const byTheWay: boolean[] = [];
  card.completer.onMessage = () => byTheWay.push(card.link.writable);
  for (let n = 0; n < 3; n++) {
    // All is acknowledged by a frame that makes work for somebody else: there is room, and it is not his.
    for (let frames = 0; frames < 9; frames++) await card.peer.next(0x10);
    const ack = FIRST + 9 * n + 8;
    await card.peer.send(frame(0x11, { tag: 1, sequence: FIRST + n, ack }, new Uint8Array(8)));
    await card.completer.seen(n + 1);
  }
  for (let frames = 0; frames < 9; frames++) await card.peer.next(0x10);
  // The first time there was room for who came first.
  assertEquals(turns, ["first", "first", "second", "first"]);
  assertEquals(byTheWay, [false, false, false]);
});

Deno.test("Link.onWritable() resumes in a microtask when there is room", async () => {
  await using card = await rawCard();
  let resumed = 0;
  card.link.onWritable(() => resumed++);
  assertEquals(resumed, 0);
  await Promise.resolve();
  assertEquals(resumed, 1);
});

Deno.test("a writer that fails as it is resumed ends the link with internal", async () => {
  await using card = await rawCard(
    {},
    cardGreeting({
      limits: { ...limits, maxPayload: 4096, postedBytes: 65_536 },
    }),
  );
  for (let n = 0; n < 9; n++) card.link.postWrite(0, new Uint8Array(4000));
  card.link.onWritable(() => {
    throw new TypeError("Cannot go on: forgot how");
  });
  for (let n = 0; n < 9; n++) await card.peer.next(0x10);
  await card.peer.send(frame(0x03, { ack: FIRST + 8 }, hex("01000000")));
  assertEquals((await card.peer.next(0x01)).code, 9);
});

Deno.test("a writer that fails as it is resumed at once ends the link with internal", async () => {
  await using card = await rawCard();
  card.link.onWritable(() => {
    throw new TypeError("Cannot go on: forgot how");
  });
  assertEquals((await card.peer.next(0x01)).code, 9);
});

Deno.test("Link.flush() hands the batch to the transport before it returns", async () => {
  let written = 0;
  await using pair = await linkPair({
    filter: (_n, card, host) => [{
      ...card,
      read: (into) => card.read(into),
      close: () => card.close(),
      [Symbol.asyncDispose]: () => card[Symbol.asyncDispose](),
      write: (bytes) => {
        written += bytes.length;
        return card.write(bytes);
      },
    }, host],
  });
  await pair.card.configRead(0, 4);
  await new Promise((resolve) => setTimeout(resolve, 0));
  const before = written;
  pair.card.message(MESSAGE.msi, 1);
  assertEquals(written, before);
  pair.card.flush();
  assertEquals(written, before + 24);
});

const WRONG_CALLS: [string, (link: import("../../protocol/mod.ts").Link) => unknown][] = [
  ["openWrite() over the payload", (l) => l.openWrite([{ address: 0, length: 131_073 }])],
  ["openWrite() without spans", (l) => l.openWrite([])],
  [
    "openWrite() of 1025 spans",
    (l) => l.openWrite(Array.from({ length: 1025 }, () => ({ address: 0, length: 1 }))),
  ],
  ["openWrite() past 2^52", (l) => l.openWrite([{ address: 2 ** 52 - 1, length: 2 }])],
  ["postWrite() at a negative address", (l) => l.postWrite(-1, new Uint8Array(1))],
  ["message() of more than 32 bits", (l) => l.message(1, 2 ** 32)],
  ["memoryRead() of nothing", (l) => l.memoryRead(0, 0)],
  ["ioWrite() of -1", (l) => l.ioWrite(0, 4, -1)],
  ["ioWrite() wider than its access", (l) => l.ioWrite(0, 1, 256)],
  ["configRead() of half a register", (l) => l.configRead(0.5, 4)],
];
for (const [name, call] of WRONG_CALLS) {
  Deno.test(`Link.${name} is a RangeError and leaves no frame behind`, async () => {
    await using card = await rawCard();
    const result = await Promise.resolve().then(() => call(card.link)).catch((e) => e);
    assert(result instanceof RangeError, String(result));
    card.link.message(1, 7);
    assertEquals((await card.peer.next(0x11)).sequence, FIRST);
  });
}

Deno.test("Link.close() sends what was posted, then the goodbye, and rejects what waits", async () => {
  await using card = await rawCard();
  const pending = assertRejects(() => card.link.configRead(0, 4), LinkError, "link is closed");
  card.link.message(MESSAGE.msi, 5);
  const closed = card.link.close("busy", "no time");
  card.link.message(MESSAGE.msi, 6);
  await card.peer.next(0x21);
  await card.peer.next(0x11);
  const goodbye = await card.peer.frame();
  assertEquals([goodbye.type, goodbye.code], [1, 7]);
  card.peer.transport.close();
  await closed;
  await pending;
  assertEquals(card.link.state, "closed");
  // What follows is dropped or fails, and nothing throws.
  card.link.message(MESSAGE.msi, 6);
  card.link.openWrite([{ address: 0, length: 4 }]).fill(1);
  card.link.flush();
  await assertRejects(() => card.link.memoryRead(0, 4), LinkError);
});

Deno.test("an access that nobody claims fails alone", async () => {
  await using pair = await linkPair();
  await pair.card.configRead(0, 4);
  await assertRejects(() => pair.card.memoryRead(2 ** 30, 200_000), UnsupportedRequest);
  assertEquals(await pair.card.configRead(0, 4), 0x42);
  assertEquals(pair.host.counters.unsupported, 2);
});

Deno.test("a long stream wraps its sequence and credit, and survives cuts and small windows", async () => {
  const small = { maxPayload: 4096, postedBytes: 17_000, postedFrames: 40, nonPosted: 3 };
  let random = 12345;
  const next = (max: number) => (random = (random * 1103515245 + 12345) % 2 ** 31) % max;
  await using pair = await linkPair({
    cardLimits: small,
    hostLimits: small,
    filter: (n, card, host) =>
      n >= 12 ? [card, host] : [
        cutAfter(card, 128 + next(60_000), n % 2 === 0),
        cutAfter(host, n === 0 ? 50_000 : 128 + next(60_000), n % 3 === 0),
      ],
  });
  const wanted: string[] = [];
  pair.cardCompleter.onMessage = (_code, a) => pair.card.message(MESSAGE.post_code, a);
  const reads: Promise<Uint8Array>[] = [];
  for (let n = 0; n < 1200; n++) {
    pair.host.postWrite(n, new Uint8Array(n % 7 === 0 ? 4096 : n % 90).fill(n));
    if (n % 7 === 0 || n % 90 > 0) wanted.push(`write ${n} ${n % 7 === 0 ? 4096 : n % 90}`);
    pair.host.message(MESSAGE.power, n, n);
    wanted.push(`message 2 ${n} ${n}`);
    if (n % 50 === 0) reads.push(pair.host.memoryRead(n, 9000));
    if (!pair.host.writable) await new Promise<void>((resolve) => pair.host.onWritable(resolve));
  }
  await Promise.all(reads);
  await pair.hostCompleter.seen(1200);
  assertEquals(pair.cardCompleter.calls.filter((call) => !call.startsWith("read")), wanted);
  assertEquals(
    pair.hostCompleter.calls,
    Array.from({ length: 1200 }, (_, n) => `message 4 ${n} 0`),
  );
  assertEquals(pair.card.counters.reconnects, 12);
});

Deno.test("openWrite() of a whole frame needs no second buffer for its bytes", async () => {
  await using card = await rawCard();
  const place = card.link.openWrite([{ address: 0, length: 8 }]);
  const next = card.link.openWrite([{ address: 8, length: 8 }]);
  assert(place.buffer === next.buffer);
  assertThrows(() => place.set(new Uint8Array(9)), RangeError);
});
