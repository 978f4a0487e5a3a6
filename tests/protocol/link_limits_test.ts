import { assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../protocol/mod.ts";
import { agree, checkPeerLimits, DEFAULT_LIMITS, limitsOf } from "../../protocol/link/limits.ts";
import type { LinkLimits } from "../../protocol/mod.ts";

const BAD: readonly Partial<LinkLimits>[] = [
  { maxPayload: 2048 },
  { maxPayload: 2 * 1024 * 1024 },
  { maxPayload: 4097 },
  { maxReadRequest: 0 },
  { maxReadRequest: 5000 },
  { postedBytes: 128 * 1024 },
  { postedBytes: 2 ** 30 + 1 },
  { postedFrames: 0 },
  { nonPosted: 0 },
  { nonPosted: 70_000 },
  { heartbeat: 10 },
  { silence: 3_999 },
  { silence: NaN },
];
for (const limits of BAD) {
  const name = JSON.stringify(limits);
  Deno.test(`limitsOf() refuses ${name} as our own mistake`, () => {
    assertThrows(() => limitsOf(limits), RangeError, Object.keys(limits)[0]!);
  });
  Deno.test(`checkPeerLimits() refuses ${name} as the peer's`, () => {
    const error = assertThrows(
      () => checkPeerLimits({ ...DEFAULT_LIMITS, ...limits }),
      ProtocolError,
    );
    assertEquals(error.reason, "malformed");
  });
}

Deno.test("agree() takes the smaller sizes and times, and keeps our own windows", () => {
  const ours = limitsOf({ maxPayload: 65536, postedFrames: 10, heartbeat: 500, silence: 9_000 });
  const theirs = limitsOf({ maxReadRequest: 8192, postedFrames: 20, silence: 5_000 });
  assertEquals(agree(ours, theirs), {
    ...ours,
    maxPayload: 65536,
    maxReadRequest: 8192,
    postedFrames: 10,
    heartbeat: 500,
    silence: 5_000,
  });
});
