import { assert, assertEquals } from "@std/assert";
import {
  type Acceptance,
  GOODBYE,
  type GoodbyeReason,
  Link,
  LinkServer,
  memoryTransportPair,
} from "../../protocol/mod.ts";
import { encodeGreeting, type Greeting } from "../../protocol/link/greeting.ts";
import { RecordingCompleter } from "../support/link_completer.ts";
import { cardGreeting, hex, rawCard, RawPeer } from "../support/link_peer.ts";

const ok = (): Acceptance => ({ completer: new RecordingCompleter() });

/** What the server says goodbye with to a peer that sends `bytes`. */
async function answerTo(
  bytes: Uint8Array,
  accept: (greeting: Greeting) => Acceptance = ok,
): Promise<{ reason: number; text: string; refused: string[] }> {
  const refused: string[] = [];
  await using server = new LinkServer({
    epoch: 1n,
    identity: new Uint8Array(16),
    accept,
    onLink: () => {},
    onRefused: (_peer, reason) => refused.push(reason),
  });
  const [near, far] = memoryTransportPair();
  const served = server.serve(near);
  const peer = new RawPeer(far);
  void peer.send(bytes).catch(() => {});
  const { type, code, body } = await peer.frame();
  assertEquals(type, 1);
  far.close();
  await served;
  return { reason: code, text: new TextDecoder().decode(body), refused };
}

const REFUSALS: readonly { when: string; bytes: Uint8Array; reason: GoodbyeReason }[] = [
  { when: "it is no knightsbridge peer", bytes: new Uint8Array(128), reason: "version" },
  {
    when: "it speaks another version, of any length",
    bytes: hex("4b4e494748545342 0900 0200 1000 01 00"),
    reason: "version",
  },
  {
    when: "it is a host as well",
    bytes: encodeGreeting(cardGreeting({ role: "host" })),
    reason: "malformed",
  },
  {
    when: "its new session has received frames",
    bytes: encodeGreeting(cardGreeting({ received: 5 })),
    reason: "sequence",
  },
  {
    when: "its session is not known",
    bytes: encodeGreeting(cardGreeting({ session: new Uint8Array(16).fill(1), epoch: 1n })),
    reason: "session",
  },
];
for (const { when, bytes, reason } of REFUSALS) {
  Deno.test(`LinkServer refuses a peer with ${reason} when ${when}`, async () => {
    const answer = await answerTo(bytes, () => {
      throw new Error("nothing may be made for it");
    });
    assertEquals(answer.reason, GOODBYE[reason], answer.text);
    assertEquals(answer.refused, [reason]);
  });
}

Deno.test("LinkServer names both versions to a peer of another one", async () => {
  const { text } = await answerTo(hex("4b4e494748545342 0900 0200 1000 01 00"));
  assertEquals(text, "Cannot greet peer: it speaks version 9.2, wanted 1.3");
});

Deno.test("LinkServer passes on why the host takes no card", async () => {
  const answer = await answerTo(
    encodeGreeting(cardGreeting()),
    () => ({ refuse: "busy", text: "one card is enough" }),
  );
  assertEquals([answer.reason, answer.text], [GOODBYE.busy, "one card is enough"]);
});

Deno.test("LinkServer says goodbye (internal) when the host's own decision fails", async () => {
  const answer = await answerTo(encodeGreeting(cardGreeting()), () => {
    throw new TypeError("Cannot decide: no idea");
  });
  assertEquals(answer, {
    reason: GOODBYE.internal,
    text: "Cannot decide: no idea",
    refused: ["internal"],
  });
});

Deno.test("LinkServer resumes no session that is saying goodbye", async () => {
  await using card = await rawCard();
  const closed = card.link.close("shutdown");
  const [near, far] = memoryTransportPair();
  const served = card.server.serve(near);
  const again = new RawPeer(far);
  void again.send(
    encodeGreeting(cardGreeting({ session: card.answer.slice(40, 56), epoch: 0x1122n })),
  ).catch(() => {});
  assertEquals((await again.frame()).code, GOODBYE.session);
  far.close();
  await served;
  card.peer.transport.close();
  await closed;
});

Deno.test("LinkServer ends a session whose card forgot what it had acknowledged", async () => {
  await using card = await rawCard();
  card.link.message(1, 1);
  await card.peer.next(0x11);
  await card.peer.send(hex("03 00 0000 04000000 00000000 00ffffff 01000000"));
  await card.peer.next(0x04);
  card.peer.transport.close();
  const [near, far] = memoryTransportPair();
  const served = card.server.serve(near);
  const again = new RawPeer(far);
  await again.send(
    encodeGreeting(cardGreeting({ session: card.answer.slice(40, 56), epoch: 0x1122n })),
  );
  await again.greeting();
  const goodbye = await again.frame();
  assertEquals([goodbye.type, goodbye.code], [1, GOODBYE.sequence]);
  far.close();
  await served;
  await card.link.closed;
});

Deno.test("LinkServer knows a session of another epoch no more", async () => {
  await using card = await rawCard();
  const [near, far] = memoryTransportPair();
  const served = card.server.serve(near);
  const again = new RawPeer(far);
  void again.send(encodeGreeting(cardGreeting({ session: card.answer.slice(40, 56), epoch: 1n })))
    .catch(() => {});
  assertEquals((await again.frame()).code, GOODBYE.session);
  far.close();
  await served;
  assertEquals(card.link.state, "up");
});

Deno.test("LinkServer forgets a session that closed", async () => {
  await using card = await rawCard();
  const closed = card.link.close("shutdown");
  await card.peer.next(0x01);
  card.peer.transport.close();
  await closed;
  const [near, far] = memoryTransportPair();
  const served = card.server.serve(near);
  const again = new RawPeer(far);
  void again.send(
    encodeGreeting(cardGreeting({ session: card.answer.slice(40, 56), epoch: 0x1122n })),
  ).catch(() => {});
  assertEquals((await again.frame()).code, GOODBYE.session);
  far.close();
  await served;
});

Deno.test("LinkServer says goodbye to every card when it is disposed", async () => {
  const card = await rawCard();
  const disposed = card.server[Symbol.asyncDispose]();
  const goodbye = await card.peer.next(0x01);
  assertEquals(goodbye.code, GOODBYE.shutdown);
  card.peer.transport.close();
  await disposed;
  assertEquals(card.link.state, "closed");
  assert(card.link instanceof Link);
});
