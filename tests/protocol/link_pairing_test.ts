// Over real sockets: two that know the code learn each other's certificate, and nobody else does.
import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  dialTls,
  LinkError,
  listenTls,
  memoryTransportPair,
  pairAsCard,
  PairingOffer,
  ProtocolError,
  type TlsTransport,
} from "../../protocol/mod.ts";
import { encodeGreeting } from "../../protocol/link/greeting.ts";
import { readGreeting, Refused } from "../../protocol/link/handshake.ts";
import { decodeCode, encodeCode, PAIRING } from "../../protocol/link/pairing.ts";
import { cardGreeting } from "../support/link_peer.ts";
import { CARD, dialAs, HOST, hostListener, never, STRANGER } from "../support/tls_rig.ts";

const MINUTE = 60_000;
const anybody = () => true;

/** A host that offers to pair, and what came of each attempt: a fingerprint, or the refusal. */
function pairingHost(lifetime = MINUTE) {
  const { listener } = hostListener(anybody);
  const offer = new PairingOffer(HOST.fingerprint, lifetime);
  const stored: string[] = [];
  const errors: Error[] = [];
  const done = (async () => {
    for (let t; (t = await listener.accept()) !== undefined;) {
      const store = (fingerprint: string) => Promise.resolve(void stored.push(fingerprint));
      await offer.meet(t, store).catch((error) => errors.push(error));
    }
  })();
  return {
    offer,
    stored,
    errors,
    port: listener.port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await done;
    },
  };
}

const pair = async (port: number, code: string): Promise<string> => {
  const transport = await dialAs(CARD, port, anybody);
  await pairAsCard(transport, CARD.fingerprint, code);
  return transport.fingerprint;
};

Deno.test("a card and a host that know the code learn each other's fingerprint", async () => {
  await using host = pairingHost();
  assertMatch(host.offer.code, /^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/);
  assertEquals(await pair(host.port, host.offer.code.toLowerCase()), HOST.fingerprint);
  assertEquals(host.stored, [CARD.fingerprint]);
});

Deno.test("a code is good for one attempt, a wrong one too", async () => {
  for (const first of ["right", "wrong"]) {
    await using host = pairingHost();
    const { code } = host.offer;
    assertEquals(host.offer.used, false);
    if (first === "right") await pair(host.port, code);
    else {
      const wrong = (code[0] === "0" ? "1" : "0") + code.slice(1);
      await assertRejects(() => pair(host.port, wrong), ProtocolError, "the code is wrong");
    }
    assertEquals(host.offer.used, true);
    await assertRejects(() => pair(host.port, code), ProtocolError, "the code was used already");
    assertEquals(host.stored.length, first === "right" ? 1 : 0);
  }
});

Deno.test("a code expires", async () => {
  await using host = pairingHost(0);
  await assertRejects(
    () => pair(host.port, host.offer.code),
    ProtocolError,
    "the code has expired",
  );
  assertEquals(host.stored, []);
});

Deno.test("whoever does not ask to be paired leaves the code as it is", async () => {
  await using host = pairingHost();
  (await dialAs(STRANGER, host.port)).close();
  await using card = await dialAs(CARD, host.port);
  await card.write(encodeGreeting(cardGreeting()));
  await assertRejects(() => readGreeting(card), Refused, "the peer wants something else");
  card.close();
  await pair(host.port, host.offer.code);
  assertEquals(host.errors.map(({ name }) => name), ["LinkError", "ProtocolError"]);
});

Deno.test("somebody between the two, with a certificate of his own, can pass on what they say to no avail", async () => {
  await using host = pairingHost();
  await using middle = listenTls("127.0.0.1", 0, { identity: STRANGER, trusts: anybody });
  const passing = (async () => {
    const card = (await middle.accept())!;
    const toHost = await dialTls("127.0.0.1", host.port, {
      identity: STRANGER,
      trusts: anybody,
    }, never);
    await Promise.all([pass(card, toHost), pass(toHost, card)]);
  })();
  await assertRejects(() => pair(middle.port, host.offer.code), ProtocolError, "the code is wrong");
  await passing;
  assertEquals([host.stored, host.offer.used], [[], true]);
});

Deno.test("a host that does not know the code is found out, whatever it answers", async () => {
  for (const answer of ["echo", "random", "nothing"] as const) {
    await using listener = listenTls("127.0.0.1", 0, { identity: STRANGER, trusts: anybody });
    const answering = (async () => {
      await using card = (await listener.accept())!;
      const bytes = new Uint8Array(PAIRING.size);
      for (let have = 0; have < bytes.length;) have += (await card.read(bytes.subarray(have)))!;
      // The card's own proof, sent back as a host's.
      bytes[PAIRING.at.role] = 0;
      if (answer === "random") crypto.getRandomValues(bytes.subarray(PAIRING.at.proof));
      if (answer !== "nothing") await card.write(bytes);
      if (answer !== "nothing") await card.read(bytes);
    })();
    const code = encodeCode(crypto.getRandomValues(new Uint8Array(10)));
    if (answer === "nothing") await assertRejects(() => pair(listener.port, code), LinkError);
    else await assertRejects(() => pair(listener.port, code), ProtocolError, "it is not the host");
    await answering;
  }
});

Deno.test("decodeCode() reads what encodeCode() wrote, as people write it", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 10, maxLength: 10 }), (secret) => {
    const code = encodeCode(secret);
    assertEquals(decodeCode(code), Uint8Array.from(secret));
    const typed = code.toLowerCase().replaceAll("-", " ").replaceAll("0", "o").replaceAll("1", "l");
    assertEquals(decodeCode(typed), Uint8Array.from(secret));
  }));
  assertEquals(decodeCode("0000-0000-0000-000Z").toHex(), "0000000000000000001f");
  for (const wrong of ["", "7K3M-9QXA-2BCD", "7K3M-9QXA-2BCD-EFGU", "7K3M-9QXA-2BCD-EFGH-J"]) {
    assertThrows(() => decodeCode(wrong), RangeError, "wanted four groups of four");
  }
});

Deno.test("PAIRING is 48 bytes: opened like a greeting, then the proof", () => {
  assertEquals(PAIRING.size, 48);
  assertEquals([PAIRING.at.length, PAIRING.at.role, PAIRING.at.proof], [12, 14, 16]);
});

// Computed with another implementation of HMAC-SHA-256 from what protocol/README.md, "Pairing", says.
Deno.test("pairAsCard() sends and takes the bytes of the specification", async () => {
  const [near, far] = memoryTransportPair();
  const transport = Object.assign(near, { fingerprint: "aa".repeat(32) });
  const paired = pairAsCard(transport, "bb".repeat(32), "0123-4567-89AB-CDEF");
  const bytes = new Uint8Array(48);
  assertEquals(await far.read(bytes), 48);
  const proof = "a0dcb1898f9ad43fc3bce643cd14b377c76eb59e0939ae94d932e8a3e1ced671";
  assertEquals(bytes.toHex(), `4b4e4947485453500100000030000100${proof}`);
  const answer = "f015debf18ec3ee23e561adaecc3c21b8e1782fc3ce04acec5808de3679904ea";
  await far.write(Uint8Array.fromHex(`4b4e4947485453500100000030000000${answer}`));
  await paired;
});

/** Hands on what `from` says until it ends, then ends `to`. */
async function pass(from: TlsTransport, to: TlsTransport): Promise<void> {
  const bytes = new Uint8Array(4096);
  try {
    for (let count; (count = await from.read(bytes)) !== null;) {
      await to.write(bytes.subarray(0, count));
    }
  } catch {
    // One of the two has hung up.
  }
  from.close();
  to.close();
}
