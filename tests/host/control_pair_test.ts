import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  LinkError,
  pairAsCard,
  PairingOffer,
  ProtocolError,
  type TlsTransport,
} from "../../protocol/mod.ts";
import { type PairedCard, pairOnce } from "../../host/control/pair.ts";
import { CARD, dialAs, HOST, hostListener, STRANGER } from "../support/tls_rig.ts";

const anybody = () => true;
const MINUTE = 60_000;

function waiting({ timeout = MINUTE, slowly = false } = {}) {
  const { listener } = hostListener(anybody);
  const offer = new PairingOffer(HOST.fingerprint, MINUTE);
  const stored: PairedCard[] = [];
  const passed: string[] = [];
  const storing = Promise.withResolvers<void>();
  const mayStore = Promise.withResolvers<void>();
  if (!slowly) mayStore.resolve();
  const paired = pairOnce({
    listener,
    offer,
    timeout,
    store: async (card) => {
      stored.push(card);
      storing.resolve();
      await mayStore.promise;
    },
    onPassed: (_card, error) => passed.push(error.message),
  });
  return { listener, offer, stored, passed, paired, storing, mayStore };
}

Deno.test("pairOnce() waits for the card that knows the code, past those who want nothing", async () => {
  const { listener, offer, stored, passed, paired } = waiting();
  // One who hangs up, and one who says nothing and stays.
  (await dialAs(STRANGER, listener.port, anybody)).close();
  await using _silent = await dialAs(STRANGER, listener.port, anybody);
  const transport = await dialAs(CARD, listener.port, anybody);
  await pairAsCard(transport, CARD.fingerprint, offer.code);
  assertEquals((await paired).fingerprint, CARD.fingerprint);
  assertEquals(stored, [await paired]);
  assertEquals(passed.length, 1);
  assertMatch(passed[0]!, /^Cannot greet .*: connection closed$/);
  listener.close();
});

Deno.test("pairOnce() is not spoilt by who comes while the right card is being paired", async () => {
  const { listener, offer, stored, passed, paired, storing, mayStore } = waiting({ slowly: true });
  const first = pairAsCard(
    await dialAs(CARD, listener.port, anybody),
    CARD.fingerprint,
    offer.code,
  );
  await storing.promise;
  // One with the same code, a moment later.
  const second = await dialAs(STRANGER, listener.port, anybody);
  await assertRejects(
    () => pairAsCard(second, STRANGER.fingerprint, offer.code),
    ProtocolError,
    "the code was used already",
  );
  mayStore.resolve();
  await first;
  assertEquals((await paired).fingerprint, CARD.fingerprint);
  assertEquals(stored.map(({ fingerprint }) => fingerprint), [CARD.fingerprint]);
  assertEquals(passed, ["Cannot pair: the code was used already"]);
  listener.close();
});

Deno.test("pairOnce() holds a few connections, of which the oldest goes, and none when it is over", async () => {
  const { listener, offer, passed, paired } = waiting();
  const silent: TlsTransport[] = [];
  for (let i = 0; i < 17; i++) silent.push(await dialAs(STRANGER, listener.port, anybody));
  assertEquals(await silent[0]!.read(new Uint8Array(1)), null);
  await pairAsCard(
    await dialAs(CARD, listener.port, anybody),
    CARD.fingerprint,
    offer.code,
  );
  await paired;
  for (const one of silent) {
    assertEquals(await one.read(new Uint8Array(1)), null);
    one.close();
  }
  assertEquals(passed.length, 17);
  // They were closed, and did not end by themselves when their time was over.
  assertEquals(passed.filter((text) => text.includes("it said nothing for")), []);
  listener.close();
});

Deno.test("pairOnce() fails with what cannot be stored, and the card is not told that it is paired", async () => {
  const { listener } = hostListener(anybody);
  const offer = new PairingOffer(HOST.fingerprint, MINUTE);
  const paired = pairOnce({
    listener,
    offer,
    timeout: MINUTE,
    store: () => Promise.reject(new Error("the disk is full")),
  });
  const failed = assertRejects(() => paired, Error, "the disk is full");
  await assertRejects(
    async () =>
      await pairAsCard(
        await dialAs(CARD, listener.port, anybody),
        CARD.fingerprint,
        offer.code,
      ),
    LinkError,
  );
  await failed;
  listener.close();
});

Deno.test("pairOnce() ends with the code: at a wrong attempt", async () => {
  const { listener, stored, paired } = waiting();
  const ended = assertRejects(() => paired, ProtocolError, "the code is wrong, and is now void");
  const transport = await dialAs(CARD, listener.port, anybody);
  await assertRejects(
    () => pairAsCard(transport, CARD.fingerprint, "0000-0000-0000-0000"),
    ProtocolError,
    "the code is wrong",
  );
  await ended;
  assertEquals(stored, []);
  listener.close();
});

Deno.test("pairOnce() ends with the code: when its time is over", async () => {
  const { listener, paired } = waiting({ timeout: 1 });
  await assertRejects(() => paired, LinkError, "no card came before the code expired");
  listener.close();
});
