/**
 * How cards are, and waiting until they are otherwise.
 *
 * @module
 */
import { z } from "zod";
import type { CardControl } from "../../card_control.ts";
import { Problem } from "../problem.ts";
import { type Call, route } from "../route.ts";
import { CARD_STATE } from "../schemas.ts";

/** No client waits longer at once, seconds. */
const LONGEST_WAIT = 3600;

const WAIT = z.strictObject({
  state: z.union([CARD_STATE, z.array(CARD_STATE)]).describe("Wanted; as often as there are"),
  timeout: z.coerce.number().min(0).max(LONGEST_WAIT).default(60).describe("Seconds"),
});

export const CARD_ROUTES = [
  route({
    method: "get",
    path: "/v1/cards",
    summary: "Every card, in the order of the configuration",
    answer: "CardList",
    handle: ({ host }) => [...host.cards.values()].map((card) => card.status()),
  }),
  route({
    method: "get",
    path: "/v1/cards/{card}",
    summary: "One card",
    answer: "CardStatus",
    handle: ({ card }) => card.status(),
  }),
  route({
    method: "get",
    path: "/v1/cards/{card}/wait",
    summary: "Answers as soon as the card is in one of the states",
    query: WAIT,
    answer: "CardStatus",
    problems: [408],
    handle: ({ card, query, signal }) => wait(card, query, signal),
  }),
];

async function wait(
  card: CardControl,
  { state, timeout }: z.output<typeof WAIT>,
  signal: Call<unknown, undefined>["signal"],
) {
  const states = [state].flat();
  const late = AbortSignal.timeout(timeout * 1000);
  try {
    return await card.waitFor(states, AbortSignal.any([signal, late]));
  } catch (error) {
    if (!late.aborted) throw error;
    const now = card.status().state;
    const text = `Cannot wait for ${card.name} any longer: after ${timeout} s it is ${now}, ` +
      `wanted ${states.join(" or ")}; "ctl why ${card.name}" says why`;
    throw new Problem(408, text, { cause: error });
  }
}
