import { assertEquals, assertRejects } from "@std/assert";
import { LinkError, pairAsCard, PairingOffer, ProtocolError } from "../../protocol/mod.ts";
import { type PairedCard, pairOnce } from "../../host/control/pair.ts";
import { CARD, dialAs, HOST, hostListener, STRANGER } from "../support/tls_rig.ts";

const anybody = () => true;
const MINUTE = 60_000;

function waiting(timeout = MINUTE) {
  const { listener } = hostListener(anybody);
  const offer = new PairingOffer(HOST.fingerprint, MINUTE);
  const stored: PairedCard[] = [];
  const passed: string[] = [];
  const paired = pairOnce({
    listener,
    offer,
    timeout,
    store: (card) => Promise.resolve(void stored.push(card)),
    onPassed: (_peer, error) => passed.push(error.name),
  });
  return { listener, offer, stored, passed, paired };
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
  assertEquals(passed, ["LinkError"]);
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
  const { listener, paired } = waiting(1);
  await assertRejects(() => paired, LinkError, "no card came before the code expired");
  listener.close();
});
