import { assertEquals, assertGreater } from "@std/assert";
import fc from "fast-check";
import type { Transport } from "../../protocol/mod.ts";
import { cutAfter } from "../support/link_cutter.ts";
import { linkPair } from "../support/link_pair.ts";
import { takingNow } from "../support/link_taker.ts";
import {
  BASE,
  type EndState,
  endState,
  lastWords,
  playSide,
  SCRIPT_MEMORY,
} from "../support/link_script.ts";

interface Outcome {
  readonly card: EndState;
  readonly host: EndState;
  readonly answers: string[][];
}

interface Run {
  readonly outcome: Outcome;
  readonly sent: readonly [card: number, host: number];
  readonly reconnects: number;
}

/** Plays the script with `filter` over the transports. */
async function run(
  filter?: (n: number, card: Transport, host: Transport) => [Transport, Transport],
): Promise<Run> {
  await using pair = await linkPair({ memory: SCRIPT_MEMORY, ...(filter && { filter }) });
  const { card, host, cardCompleter, hostCompleter } = pair;
  const answers = await Promise.all([
    playSide(card, BASE.card, { rounds: 1 }),
    playSide(host, BASE.host, { rounds: 1 }),
  ]);
  await lastWords([
    { link: card, completer: cardCompleter },
    { link: host, completer: hostCompleter },
  ]);
  return {
    outcome: { card: endState(card, cardCompleter), host: endState(host, hostCompleter), answers },
    sent: [card.counters.bytesSent, host.counters.bytesSent],
    reconnects: card.counters.reconnects,
  };
}

for (const side of ["card", "host"] as const) {
  for (const swallow of [false, true]) {
    Deno.test(
      `a session cut at every byte that the ${side} sends${
        swallow ? ", unnoticed for a while," : ""
      } is the whole session`,
      async () => {
        const whole = await run();
        const length = whole.sent[side === "card" ? 0 : 1];
        let reconnects = 0;
        // From the end of the greeting on: before it there is no session to resume.
        for (let at = 128; at < length + 128; at++) {
          const cut = await run((n, card, host) =>
            n > 0
              ? [card, host]
              : side === "card"
              ? [cutAfter(card, at, swallow), host]
              : [card, cutAfter(host, at, swallow)]
          );
          assertEquals(cut.outcome, whole.outcome, `cut after ${at} bytes`);
          reconnects += cut.reconnects;
        }
        assertGreater(reconnects, length / 2);
      },
    );
  }
}

Deno.test("a session cut again and again, anywhere, is the whole session", async () => {
  const whole = await run();
  const cut = fc.record({
    side: fc.constantFrom("card", "host"),
    // The first greeting gets through: a card that never heard of its session starts another.
    at: fc.integer({ min: 129, max: 900 }),
    swallow: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(cut, { maxLength: 8 }), async (cuts) => {
      const again = await run((n, card, host) => {
        const cut = cuts[n];
        if (!cut) return [card, host];
        return cut.side === "card"
          ? [cutAfter(card, cut.at, cut.swallow), host]
          : [card, cutAfter(host, cut.at, cut.swallow)];
      });
      assertEquals(again.outcome, whole.outcome, JSON.stringify(cuts));
    }),
    { numRuns: 150 },
  );
});

Deno.test("a session is the whole session, however much of it the network takes at once", async () => {
  const whole = await run();
  const taken = fc.array(fc.oneof(fc.constant(0), fc.nat(300), fc.constant(Infinity)), {
    minLength: 1,
  });
  const cuts = fc.array(fc.integer({ min: 129, max: 900 }), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(taken, cuts, async (taken, cuts) => {
      let calls = 0;
      const takes = () => taken[calls++ % taken.length]!;
      const again = await run((n, card, host) => [
        takingNow(card, takes),
        takingNow(cuts[n] === undefined ? host : cutAfter(host, cuts[n], false), takes),
      ]);
      assertGreater(calls, 0);
      assertEquals(again.outcome, whole.outcome);
    }),
    { numRuns: 150 },
  );
});
