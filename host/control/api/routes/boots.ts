/**
 * The boots of a card: when, how far, how they ended.
 *
 * @module
 */
import type { BootRecord, CardControl } from "../../card_control.ts";
import { Problem } from "../problem.ts";
import { route } from "../route.ts";

export const BOOT_ROUTES = [
  route({
    method: "get",
    path: "/v1/cards/{card}/boots",
    summary: "The boots that are remembered, newest last",
    answer: "BootList",
    handle: ({ card }) => [...card.boots()],
  }),
  route({
    method: "get",
    path: "/v1/cards/{card}/boots/{boot}",
    summary: "One boot, by its number or as `last`",
    answer: "BootRecord",
    handle: ({ card, path }) => bootNamed(card, path["boot"]!),
  }),
  route({
    method: "get",
    path: "/v1/cards/{card}/postcodes",
    summary: "The POST codes of the last boot, oldest first",
    answer: "PostCodeList",
    handle: ({ card }) => [...card.boots().at(-1)?.postCodes ?? []],
  }),
];

function bootNamed(card: CardControl, name: string): BootRecord {
  const boots = card.boots();
  const boot = name === "last" ? boots.at(-1) : boots.find(({ number }) => `${number}` === name);
  if (boot) return boot;
  const known = boots.length > 0
    ? `it remembers ${boots[0]!.number} to ${boots.at(-1)!.number}`
    : "it has not booted yet";
  throw new Problem(404, `Cannot find boot ${name} of ${card.name}: ${known}`);
}
