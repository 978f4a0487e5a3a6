import { assert, assertEquals } from "@std/assert";
import { linkPair } from "../support/link_pair.ts";

const FRAMES = 64;
const SPANS = 1024;

Deno.test("a peer that writes much where nobody is leaves others their turns, and is heard whole", async () => {
  await using pair = await linkPair();
  const { card, host, hostCompleter } = pair;
  const nowhere = Array.from({ length: SPANS }, (_, i) => ({ address: 2 ** 40 + i, length: 1 }));
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  for (let i = 0; i < FRAMES; i++) card.openWrite(nowhere);
  card.postWrite(5, Uint8Array.of(7));
  await hostCompleter.hears("write 5 1");
  clearInterval(timer);
  assertEquals(host.counters.unsupported, FRAMES * SPANS);
  assertEquals(hostCompleter.memory[5], 7);
  assert(turns >= FRAMES / 2, `${turns} turns in ${FRAMES} frames`);
});

Deno.test("a link that closes in the middle of such writes takes no more of them", async () => {
  await using pair = await linkPair();
  const { card, host } = pair;
  const nowhere = Array.from({ length: SPANS }, (_, i) => ({ address: 2 ** 40 + i, length: 1 }));
  for (let i = 0; i < FRAMES; i++) card.openWrite(nowhere);
  await new Promise<void>((resolve) => {
    const look = setInterval(() => {
      if (host.counters.unsupported === 0) return;
      clearInterval(look);
      resolve();
    }, 0);
  });
  await host.close("shutdown");
  assert(host.counters.unsupported < FRAMES * SPANS);
});
