// Random streams from a hostile peer, in both directions; the long form is tests/soak/frames.ts.
import fc from "fast-check";
import { encodeGreeting } from "../../protocol/link/greeting.ts";
import { attack, greet, greetings, streams } from "../support/frame_fuzz.ts";
import { cardGreeting, hostGreeting } from "../support/link_peer.ts";

const SEED = 20_260_801;
const ROLES = [
  { role: "host", greeting: cardGreeting() },
  { role: "card", greeting: hostGreeting() },
] as const;

for (const { role, greeting } of ROLES) {
  Deno.test(`whatever frames follow the greetings, a ${role}'s link lives on or says goodbye`, async () => {
    await fc.assert(
      fc.asyncProperty(streams, (stream) => attack(role, stream)),
      { numRuns: 1000, seed: SEED },
    );
  });

  Deno.test(`whatever a ${role} is greeted with, it answers or says goodbye`, async () => {
    await fc.assert(
      fc.asyncProperty(greetings(encodeGreeting(greeting)), (bytes) => greet(role, bytes)),
      { numRuns: 1000, seed: SEED },
    );
  });
}
