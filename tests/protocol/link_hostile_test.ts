import { assert, assertEquals, assertRejects } from "@std/assert";
import { LinkError, type LinkLimits } from "../../protocol/mod.ts";
import { GOODBYE } from "../../protocol/link/goodbye.ts";
import { cardGreeting, frame, hex, rawCard, rawHost, type Victim } from "../support/link_peer.ts";

const FIRST = 0xffff_ff00;

/** What a peer sends after its greeting, and the goodbye it earns. */
const ATTACKS: readonly {
  readonly when: string;
  readonly reason: keyof typeof GOODBYE;
  readonly bytes: Uint8Array | readonly Uint8Array[];
  readonly limits?: Partial<LinkLimits>;
}[] = [
  { when: "the type is unknown", reason: "malformed", bytes: frame(0x40, { sequence: FIRST }) },
  {
    when: "the length is huge",
    reason: "malformed",
    bytes: frame(0x10, { tag: 1, sequence: FIRST, length: 0xffff_ffff }),
  },
  {
    when: "a frame comes twice",
    reason: "sequence",
    bytes: [1, 2].map(() => frame(0x11, { tag: 1, sequence: FIRST }, new Uint8Array(8))),
  },
  {
    when: "a frame is missing",
    reason: "sequence",
    bytes: frame(0x11, { tag: 1, sequence: FIRST + 1 }, new Uint8Array(8)),
  },
  {
    when: "a frame is acknowledged that was never sent",
    reason: "sequence",
    bytes: frame(0x11, { tag: 1, sequence: FIRST, ack: FIRST }, new Uint8Array(8)),
  },
  {
    when: "a control frame acknowledges what was never sent",
    reason: "sequence",
    bytes: frame(0x03, { ack: FIRST }, new Uint8Array(4)),
  },
  {
    when: "a control frame has a sequence number",
    reason: "malformed",
    bytes: frame(0x03, { sequence: 1 }, new Uint8Array(4)),
  },
  {
    when: "a memory write has no span",
    reason: "malformed",
    bytes: frame(0x10, { tag: 0, sequence: FIRST }, new Uint8Array(12)),
  },
  {
    when: "a memory write has 1025 spans",
    reason: "malformed",
    bytes: frame(0x10, { tag: 1025, sequence: FIRST }, new Uint8Array(12 * 1025)),
  },
  {
    when: "a memory write's table is longer than its body",
    reason: "malformed",
    bytes: frame(0x10, { tag: 2, sequence: FIRST }, new Uint8Array(23)),
  },
  {
    when: "a memory write has fewer bytes than its spans",
    reason: "malformed",
    bytes: frame(0x10, { tag: 1, sequence: FIRST }, hex("0000000000000000 03000000 aabb")),
  },
  {
    when: "a memory write has more bytes than its spans",
    reason: "malformed",
    bytes: frame(0x10, { tag: 1, sequence: FIRST }, hex("0000000000000000 01000000 aabb")),
  },
  {
    when: "a memory write's lengths add up only modulo 2^32",
    reason: "malformed",
    bytes: frame(
      0x10,
      { tag: 2, sequence: FIRST },
      hex("0000000000000000 ffffffff 0000000000000000 03000000 aabb"),
    ),
  },
  {
    when: "a memory write uses a reserved field",
    reason: "malformed",
    bytes: frame(0x10, { code: 1, tag: 1, sequence: FIRST }, new Uint8Array(12)),
  },
  {
    when: "a message uses a reserved field",
    reason: "malformed",
    bytes: frame(0x11, { code: 1, tag: 1, sequence: FIRST }, new Uint8Array(8)),
  },
  {
    when: "a memory read asks for nothing",
    reason: "malformed",
    bytes: frame(0x20, { sequence: FIRST }, new Uint8Array(12)),
  },
  {
    when: "a memory read asks for more than was agreed",
    reason: "malformed",
    bytes: frame(0x20, { sequence: FIRST }, hex("0000000000000000 01000200")),
  },
  {
    when: "an access is 3 bytes wide",
    reason: "malformed",
    bytes: frame(0x21, { code: 3, sequence: FIRST }, new Uint8Array(4)),
  },
  {
    when: "a value is wider than its access",
    reason: "malformed",
    bytes: frame(0x24, { code: 1, sequence: FIRST }, hex("00000000 00010000")),
  },
  {
    when: "a completion has a tag that is not in flight",
    reason: "tag",
    bytes: frame(0x30, { tag: 5, sequence: FIRST }),
  },
  {
    when: "posted bytes exceed their credit",
    reason: "flow_control",
    limits: { maxPayload: 4096, postedBytes: 16_384 },
    bytes: [0, 1, 2, 3, 4].map((n) =>
      frame(
        0x10,
        { tag: 1, sequence: FIRST + n },
        Uint8Array.from([...hex("0000000000000000 00100000"), ...new Uint8Array(4096)]),
      )
    ),
  },
  {
    when: "posted frames exceed their credit",
    reason: "flow_control",
    limits: { postedFrames: 3 },
    bytes: [0, 1, 2, 3].map((n) => frame(0x11, { tag: 1, sequence: FIRST + n }, new Uint8Array(8))),
  },
  {
    when: "non-posted requests exceed their credit",
    reason: "flow_control",
    limits: { nonPosted: 2 },
    bytes: [0, 1, 2].map((n) => frame(0x21, { code: 4, sequence: FIRST + n }, new Uint8Array(4))),
  },
  {
    when: "a control frame has a tag",
    reason: "malformed",
    bytes: frame(0x04, { tag: 1 }, new Uint8Array(4)),
  },
  {
    when: "a goodbye is longer than 1024 bytes",
    reason: "malformed",
    bytes: frame(0x01, { length: 1025 }),
  },
  {
    when: "a sequence number wraps a frame too early",
    reason: "sequence",
    bytes: frame(0x11, { tag: 1, sequence: 0 }, new Uint8Array(8)),
  },
  {
    when: "a completion is longer than any read",
    reason: "malformed",
    bytes: frame(0x30, { sequence: FIRST, length: 0x2_0001 }),
  },
  {
    when: "credit of frames goes back by one",
    reason: "flow_control",
    bytes: frame(0x02, {}, hex("00000001 ff1f0000 00010000")),
  },
  {
    when: "credit of requests is out of all proportion",
    reason: "flow_control",
    bytes: frame(0x02, {}, hex("00000001 00200000 02000040")),
  },
  {
    when: "credit is taken back",
    reason: "flow_control",
    bytes: frame(0x02, {}, hex("00007f00 00200000 00010000")),
  },
  {
    when: "credit is out of all proportion",
    reason: "flow_control",
    bytes: frame(0x02, {}, hex("01000080 00200000 00010000")),
  },
];

/** The goodbye that comes, and then nothing. */
async function goodbye(card: Pick<Victim, "peer">): Promise<{ reason: number; text: string }> {
  const { code, body } = await card.peer.next(GOODBYE_TYPE);
  return { reason: code, text: new TextDecoder().decode(body) };
}
const GOODBYE_TYPE = 0x01;

const VICTIMS = [
  { whose: "a host's link", victim: rawCard as (limits?: Partial<LinkLimits>) => Promise<Victim> },
  { whose: "a card's link", victim: rawHost },
];

for (const { whose, victim } of VICTIMS) {
  for (const { when, reason, bytes, limits } of ATTACKS) {
    Deno.test(`${whose} says goodbye (${reason}) when ${when}`, async () => {
      await using attacked = await victim(limits);
      const { peer, link, statuses } = attacked;
      const pending = assertRejects(() => link.configRead(0, 4), LinkError);
      for (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) {
        // The tail of an attack may meet a link that has heard enough.
        void peer.send(piece).catch(() => {});
        await Promise.resolve();
      }
      const { reason: code, text } = await goodbye({ peer });
      assertEquals(code, GOODBYE[reason], text);
      peer.transport.close();
      await link.closed;
      await pending;
      assertEquals(statuses.map((status) => status.type), ["up", "goodbye", "closed"]);
    });
  }
}

/** protocol/README.md, "Frames". */
const KNOWN = [0x01, 0x02, 0x03, 0x04, 0x10, 0x11, 0x20, 0x21, 0x22, 0x23, 0x24, 0x30];

for (const { whose, victim } of VICTIMS) {
  Deno.test(`${whose} takes 12 types of frames of 256, and says malformed to all others`, async () => {
    for (let type = 0; type < 256; type++) {
      if (KNOWN.includes(type)) continue;
      await using attacked = await victim({ maxPayload: 4096, maxReadRequest: 4096 });
      const { peer } = attacked;
      void peer.send(frame(type, { sequence: FIRST }, new Uint8Array(8))).catch(() => {});
      assertEquals((await goodbye(attacked)).reason, GOODBYE.malformed, `type ${type}`);
    }
  });
}

const REFUSED_COMPLETIONS = [
  { when: "its status is unknown", bytes: frame(0x30, { code: 2, sequence: FIRST }) },
  { when: "it lacks its data", bytes: frame(0x30, { sequence: FIRST }) },
  {
    when: "it failed and has data",
    bytes: frame(0x30, { code: 1, sequence: FIRST }, new Uint8Array(4)),
  },
  {
    when: "its value is wider than the access",
    bytes: frame(0x30, { sequence: FIRST }, hex("00000100")),
  },
];
for (const { when, bytes } of REFUSED_COMPLETIONS) {
  Deno.test(`the link says goodbye (malformed) to a completion when ${when}`, async () => {
    await using card = await rawCard();
    const pending = assertRejects(() => card.link.configRead(0, 2), LinkError);
    void card.peer.send(bytes).catch(() => {});
    assertEquals((await goodbye(card)).reason, GOODBYE.malformed);
    card.peer.transport.close();
    await pending;
    await card.link.closed;
  });
}

Deno.test("the link says goodbye (tag) to a second completion of one request", async () => {
  await using card = await rawCard();
  const read = card.link.configRead(0, 4);
  const answer = (n: number) => frame(0x30, { sequence: FIRST + n }, hex("01000000"));
  await card.peer.send(answer(0));
  assertEquals(await read, 1);
  void card.peer.send(answer(1)).catch(() => {});
  assertEquals((await goodbye(card)).reason, GOODBYE.tag);
});

Deno.test("a memory write of which nobody claims two spans is reported once and applied in the rest", async () => {
  await using card = await rawCard();
  await card.peer.send(
    frame(
      0x10,
      { tag: 3, sequence: FIRST },
      hex("0000000080000000 01000000 0000000090000000 01000000 0400000000000000 01000000 aabbcc"),
    ),
    frame(0x21, { code: 4, sequence: FIRST + 1 }, hex("00000000")),
  );
  assertEquals((await card.peer.next(0x11)).sequence, FIRST);
  assertEquals((await card.peer.next(0x30)).sequence, FIRST + 1);
  assertEquals([card.completer.memory[4], card.link.counters.unsupported], [0xcc, 2]);
});

Deno.test("a memory write that breaks the format is not applied in part", async () => {
  await using card = await rawCard();
  void card.peer.send(
    frame(
      0x10,
      { tag: 2, sequence: FIRST },
      hex("0000000000000000 01000000 0000000000000000 09000000 aabb"),
    ),
  ).catch(() => {});
  await goodbye(card);
  assertEquals(card.completer.calls, []);
});

Deno.test("an address of 2^52 and more reaches the completer as one that nobody has", async () => {
  await using card = await rawCard();
  await card.peer.send(
    frame(0x20, { tag: 9, sequence: FIRST }, hex("0000000000001000 04000000")),
  );
  assertEquals((await card.peer.next(0x30)).code, 1);
  assertEquals(card.completer.calls, ["read Infinity 4"]);
});

Deno.test("the link ends with internal when its completer fails, and says why", async () => {
  await using card = await rawCard();
  card.completer.broken = new TypeError("Cannot frobnicate: no frob");
  void card.peer.send(frame(0x21, { code: 4, sequence: FIRST }, new Uint8Array(4)));
  assertEquals(await goodbye(card), {
    reason: GOODBYE.internal,
    text: "Cannot frobnicate: no frob",
  });
  card.peer.transport.close();
  await card.link.closed;
  const said = card.statuses.find((status) => status.type === "goodbye");
  assert(said?.type === "goodbye" && said.error === card.completer.broken);
});

Deno.test("a completer that sends a frame while it fills a memory read ends the link", async () => {
  await using card = await rawCard();
  card.completer.memoryRead = () => card.link.message(1, 0);
  void card.peer.send(frame(0x20, { sequence: FIRST }, hex("0000000000000000 04000000")));
  assertEquals((await goodbye(card)).reason, GOODBYE.internal);
});

Deno.test("a flood of pings is answered with few pongs", async () => {
  await using card = await rawCard();
  const pings = new Uint8Array(20 * 1000);
  for (let i = 0; i < 1000; i++) pings.set(frame(0x03, {}, Uint8Array.of(i, i >> 8, 1, 0)), 20 * i);
  await card.peer.send(pings);
  await card.peer.send(frame(0x11, { tag: 1, sequence: FIRST }, new Uint8Array(8)));
  await card.completer.seen(1);
  assertEquals((await card.peer.next(0x04)).body, Uint8Array.of(999 & 0xff, 999 >> 8, 1, 0));
});

Deno.test("a peer that reads none of its answers gets no more credit for requests", async () => {
  await using card = await rawCard(
    { nonPosted: 64 },
    cardGreeting({ limits: { ...cardGreeting().limits, postedBytes: 300_000 } }),
  );
  // 64 reads of 16 KiB, answered into a transport that nobody reads.
  for (let n = 0; n < 64; n++) {
    await card.peer.send(frame(0x20, { sequence: FIRST + n }, hex("0000000000000000 00400000")));
  }
  await card.completer.seen(64);
  void card.peer.send(frame(0x20, { sequence: FIRST + 64 }, hex("0000000000000000 00400000")))
    .catch(() => {});
  assertEquals((await goodbye(card)).reason, GOODBYE.flow_control);
  assertEquals(card.completer.calls.length, 64);
});
