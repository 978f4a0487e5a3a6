/**
 * A million hostile peers, half of them against a host's link and half against a card's.
 *
 * @module
 */
import fc from "fast-check";
import { encodeGreeting } from "../../protocol/link/greeting.ts";
import { attack, greet, greetings, streams } from "../support/frame_fuzz.ts";
import { cardGreeting, hostGreeting } from "../support/link_peer.ts";
import type { SoakFigures, SoakRun } from "./types.ts";

const CASES = 1_000_000;
const QUICK_CASES = 10_000;
/** Cases between two lines of progress. */
const BATCH = 10_000;
/** Of ten cases one is a greeting. */
const GREETINGS = 10;

/** Each batch has a seed of its own, `seed` and its number, which fast-check prints with the case that failed. */
export async function frames({ seed, quick, say }: SoakRun): Promise<SoakFigures> {
  const cases = quick ? QUICK_CASES : CASES;
  const roles = [
    { role: "host", greeting: greetings(encodeGreeting(cardGreeting())) },
    { role: "card", greeting: greetings(encodeGreeting(hostGreeting())) },
  ] as const;
  let done = 0;
  for (let batch = 0; done < cases; batch++) {
    const { role, greeting } = roles[batch % 2]!;
    const parameters = { seed: seed + batch, endOnFailure: false };
    const greetingRuns = BATCH / GREETINGS;
    const greets = fc.asyncProperty(greeting, (bytes) => greet(role, bytes));
    await fc.assert(greets, { ...parameters, numRuns: greetingRuns });
    const attacks = fc.asyncProperty(streams, (stream) => attack(role, stream));
    await fc.assert(attacks, { ...parameters, numRuns: BATCH - greetingRuns });
    done += BATCH;
    if (done % (10 * BATCH) === 0) say(`${done} of ${cases}`);
  }
  return { cases: done };
}
