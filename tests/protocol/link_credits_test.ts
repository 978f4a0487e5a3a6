import { assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../protocol/mod.ts";
import { ReceiveCredits, SendCredits } from "../../protocol/link/credits.ts";
import { limitsOf } from "../../protocol/link/limits.ts";

const WINDOW = limitsOf({ maxPayload: 4096, postedBytes: 20_000, postedFrames: 4, nonPosted: 2 });

Deno.test("SendCredits.takePosted() is false when bytes or frames run out, and takes nothing then", () => {
  const credits = new SendCredits();
  assertEquals(credits.takePosted(0), false);
  credits.update(100, 2, 0);
  assertEquals(credits.takePosted(101), false);
  assertEquals(credits.takePosted(60), true);
  assertEquals(credits.takePosted(41), false);
  assertEquals(credits.takePosted(40), true);
  credits.update(200, 2, 0);
  assertEquals(credits.takePosted(1), false);
  credits.update(200, 3, 0);
  assertEquals(credits.takePosted(100), true);
});

Deno.test("SendCredits.takeNonPosted() is false when requests run out", () => {
  const credits = new SendCredits();
  credits.update(0, 0, 1);
  assertEquals(credits.takeNonPosted(), true);
  assertEquals(credits.takeNonPosted(), false);
});

Deno.test("SendCredits counts on when its counters wrap", () => {
  const credits = new SendCredits();
  const step = 2 ** 29;
  for (let limit = step; limit <= 2 ** 33; limit += step) {
    credits.update(limit % 2 ** 32, 100, 0);
    assertEquals(credits.takePosted(step), true);
    assertEquals(credits.takePosted(1), false);
  }
});

const REFUSED = [
  { when: "bytes go back", limits: [99, 10, 10] },
  { when: "frames go back", limits: [100, 9, 10] },
  { when: "requests go back", limits: [100, 10, 9] },
  { when: "bytes leap by more than any window", limits: [2 ** 30 + 1, 10, 10] },
  { when: "requests leap by more than any window", limits: [100, 10, 2 ** 31 - 1] },
] as const;
for (const { when, limits: [bytes, frames, requests] } of REFUSED) {
  Deno.test(`SendCredits.update() refuses when ${when}`, () => {
    const credits = new SendCredits();
    credits.update(100, 10, 10);
    const error = assertThrows(() => credits.update(bytes, frames, requests), ProtocolError);
    assertEquals(error.reason, "flow_control");
  });
}

Deno.test("ReceiveCredits holds the peer to what was announced, not to what is owed", () => {
  const credits = new ReceiveCredits(WINDOW);
  credits.receivedPosted(20_000);
  assertThrows(() => credits.receivedPosted(1), ProtocolError, "beyond the credit");
});

Deno.test("ReceiveCredits counts frames as well as bytes", () => {
  const credits = new ReceiveCredits(WINDOW);
  for (let i = 0; i < 4; i++) credits.receivedPosted(1);
  assertThrows(() => credits.receivedPosted(1), ProtocolError, "beyond the credit");
});

Deno.test("ReceiveCredits.renew() gives back all that came", () => {
  const credits = new ReceiveCredits(WINDOW);
  credits.receivedPosted(15_000);
  credits.receivedNonPosted();
  credits.renew(true);
  assertEquals(
    [credits.bytesLimit, credits.framesLimit, credits.requestsLimit],
    [35_000, 5, 3],
  );
  assertEquals(credits.owed(true), false);
});

Deno.test("ReceiveCredits keeps requests back from a peer that does not take its answers", () => {
  const credits = new ReceiveCredits(WINDOW);
  credits.receivedNonPosted();
  credits.receivedNonPosted();
  assertEquals([credits.owed(false), credits.due(false)], [false, false]);
  credits.renew(false);
  assertEquals(credits.requestsLimit, 2);
  assertThrows(() => credits.receivedNonPosted(), ProtocolError, "beyond the credit");
});

Deno.test("ReceiveCredits.due() is true from a quarter of a window on", () => {
  const credits = new ReceiveCredits(WINDOW);
  credits.receivedPosted(0);
  assertEquals(credits.due(true), true, "1 of 4 frames");
  credits.renew(true);
  assertEquals(credits.due(true), false);
});
