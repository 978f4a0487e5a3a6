/**
 * What a card is, and what is the matter with it.
 *
 * @module
 */
import type { CardControl } from "../../card_control.ts";
import { checksOf } from "../../checks.ts";
import { lspci } from "../../lspci.ts";
import { commandProblem, Problem } from "../problem.ts";
import { route } from "../route.ts";

export const INFO_ROUTES = [
  route({
    method: "get",
    path: "/v1/cards/{card}/info",
    summary: "What the probe found out about the card",
    answer: "CardInfo",
    problems: [409],
    handle: ({ card }) => infoOf(card),
  }),
  route({
    method: "get",
    path: "/v1/cards/{card}/check",
    summary: "What should be so, what is, and what to do",
    answer: "CheckList",
    handle: ({ card, signal }) => checksOf(card, signal),
  }),
  route({
    method: "get",
    path: "/v1/cards/{card}/why",
    summary: "What the card waits for or died of, and what to do",
    answer: "Why",
    handle: ({ card }) => card.why(),
  }),
  route({
    method: "get",
    path: "/v1/cards/{card}/lspci",
    summary: "The card's PCI configuration space",
    answer: "ConfigSpace",
    problems: [409, 503],
    async handle({ card, signal }) {
      const info = infoOf(card);
      const config = await card.configSpace(signal).catch((error) => {
        throw commandProblem(error);
      });
      return { config: config.toHex(), text: lspci(config, info) };
    },
  }),
  route({
    method: "get",
    path: "/v1/cards/{card}/stats",
    summary: "Counters and gauges of the card's link and devices",
    answer: "CardStats",
    handle: ({ card }) => card.stats(),
  }),
];

function infoOf(card: CardControl) {
  const info = card.info();
  if (info) return info;
  throw new Problem(
    409,
    `Cannot tell what ${card.name} is: no card process was probed yet; start one with "deno task card"`,
  );
}
