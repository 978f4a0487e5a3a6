import { assertEquals, assertGreater } from "@std/assert";
import fc from "fast-check";
import { type Link, MESSAGE, type Transport } from "../../protocol/mod.ts";
import { cutAfter } from "../support/link_cutter.ts";
import { type LinkPair, linkPair } from "../support/link_pair.ts";

/** A session that uses every kind of frame, both ways; resolves when all of it was answered. */
async function script({ card, host }: Pick<LinkPair, "card" | "host">): Promise<string[]> {
  const results: string[] = [];
  const note = (name: string, result: Promise<unknown>) =>
    result.then((value) => {
      results.push(`${name} ${value instanceof Uint8Array ? value.toHex() : value}`);
    });
  const both = async (name: string, link: Link, base: number) => {
    link.postWrite(base, new Uint8Array(40).fill(base & 0xff));
    link.openWrite([{ address: base + 64, length: 3 }, { address: base + 96, length: 2 }])
      .set([1, 2, 3, 4, 5]);
    link.message(MESSAGE.post_code, base, 1);
    await note(`${name} read`, link.memoryRead(base, 48));
    const all = [
      note(`${name} config`, link.configRead(4, 2)),
      note(`${name} write`, link.ioWrite(4, 1, 9)),
      note(`${name} far`, link.memoryRead(2 ** 40, 4).catch((error: Error) => error.name)),
    ];
    link.postWrite(2 ** 41, new Uint8Array(4));
    await Promise.all(all);
    link.message(MESSAGE.post_code, base, 2);
    await note(`${name} last`, link.memoryRead(base + 64, 40));
  };
  await Promise.all([both("card", card, 0x1000), both("host", host, 0x2000)]);
  return results.toSorted();
}

interface Outcome {
  results: string[];
  cardCalls: string[];
  hostCalls: string[];
  sent: [card: number, host: number];
  reconnects: number;
}

/** Runs the script with `filter` over the transports. */
async function run(
  filter?: (n: number, card: Transport, host: Transport) => [Transport, Transport],
): Promise<Outcome> {
  await using pair = await linkPair(filter ? { filter } : {});
  const results = await script(pair);
  return {
    results,
    cardCalls: pair.cardCompleter.calls,
    hostCalls: pair.hostCompleter.calls,
    sent: [pair.card.counters.bytesSent, pair.host.counters.bytesSent],
    reconnects: pair.card.counters.reconnects,
  };
}

function assertSame(cut: Outcome, whole: Outcome, when: string): void {
  assertEquals(cut.results, whole.results, when);
  assertEquals(ordered(cut.cardCalls), ordered(whole.cardCalls), when);
  assertEquals(ordered(cut.hostCalls), ordered(whole.hostCalls), when);
}

/** An error message answers what the peer sent, so its place among what this side sends is free: it goes last. */
const ordered = (calls: string[]): string[] =>
  calls.toSorted((a, b) => Number(isError(a)) - Number(isError(b)));
const isError = (call: string): boolean => call.startsWith("message 3 ");

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
          assertSame(cut, whole, `cut after ${at} bytes`);
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
      assertSame(again, whole, JSON.stringify(cuts));
    }),
    { numRuns: 150 },
  );
});
