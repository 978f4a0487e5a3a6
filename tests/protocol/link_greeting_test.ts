import { assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../protocol/mod.ts";
import {
  decodeGreeting,
  encodeGreeting,
  type Greeting,
  isNewSession,
} from "../../protocol/link/greeting.ts";
import { cardGreeting, hex } from "../support/link_peer.ts";

/** protocol/README.md, "Greeting", by hand. */
const GOLDEN = `
  4b4e494748545342                  ; KNIGHTSB
  0100 0000 8000 01 00              ; version 1.0, 128 bytes, card
  0800000000000080                  ; features
  000102030405060708090a0b0c0d0e0f  ; identity
  f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff  ; session
  8877665544332211                  ; epoch
  fffeffff                          ; received
  00000200 00000200                 ; max payload, max read request
  00000001 00200000 00010000        ; posted bytes, posted frames, non-posted
  d0070000 10270000                 ; heartbeat, silence
  0000000000000000 0000000000000000 0000000000000000 0000000000000000
`;
const VALUES: Greeting = cardGreeting({
  features: 0x8000_0000_0000_0008n,
  identity: Uint8Array.from({ length: 16 }, (_, i) => i),
  session: Uint8Array.from({ length: 16 }, (_, i) => 0xf0 + i),
  epoch: 0x1122_3344_5566_7788n,
});

Deno.test("encodeGreeting() writes the bytes of the wire document", () => {
  assertEquals(encodeGreeting(VALUES), hex(GOLDEN));
});

Deno.test("decodeGreeting() reads the bytes of the wire document", () => {
  assertEquals(decodeGreeting(hex(GOLDEN)), VALUES);
});

Deno.test("isNewSession() is told by 16 zeros", () => {
  assertEquals(isNewSession(VALUES), false);
  assertEquals(isNewSession(cardGreeting()), true);
});

const BAD = [
  { when: "the magic differs", at: 0, byte: 0x6b, reason: "version" },
  { when: "the major version is newer", at: 8, byte: 2, reason: "version" },
  { when: "it is longer than version 1", at: 12, byte: 0x90, reason: "malformed" },
  { when: "the role is unknown", at: 14, byte: 2, reason: "malformed" },
  { when: "a limit is out of range", at: 68, byte: 1, reason: "malformed" },
];
for (const { when, at, byte, reason } of BAD) {
  Deno.test(`decodeGreeting() refuses with ${reason} when ${when}`, () => {
    const bytes = hex(GOLDEN);
    bytes[at] = byte;
    assertEquals(assertThrows(() => decodeGreeting(bytes), ProtocolError).reason, reason);
  });
}

Deno.test("decodeGreeting() names both versions when they differ", () => {
  const bytes = hex(GOLDEN);
  bytes[8] = 7;
  bytes[10] = 3;
  assertThrows(
    () => decodeGreeting(bytes),
    ProtocolError,
    "it speaks version 7.3, wanted 1.3",
  );
});

Deno.test("decodeGreeting() takes a newer minor version", () => {
  const bytes = hex(GOLDEN);
  bytes[10] = 9;
  assertEquals(decodeGreeting(bytes).minor, 9);
});
