/**
 * `ctl stats`: counters and gauges of the links and devices of cards.
 *
 * @module
 */
import type { CardStats } from "../../../host/control/card_control.ts";
import { chosenCards, ofEachCard } from "../cards.ts";
import { CARDS, verb } from "../verb.ts";
import { pairs } from "../table.ts";

export const STATS = verb({
  name: "stats",
  about: "Counters of links and devices",
  operands: CARDS,
  options: {},
  async run({ client, options, operands, out }) {
    const names = await chosenCards(client, operands);
    const { status, answers } = await ofEachCard<CardStats>(client, names, "/stats");
    if (options.json) out.json(Object.fromEntries(answers));
    else {
      for (const [card, { link, devices }] of answers) {
        for (const [name, counters] of Object.entries({ link, ...devices })) {
          out.line(`${card} ${name}`);
          const rows = Object.entries(counters).map(([key, value]) =>
            [key, decimal(value)] as const
          );
          for (const line of pairs(rows, "  ")) out.line(line);
        }
      }
    }
    return status;
  },
});

/** Times have more digits than anybody reads. */
const decimal = (value: number): string => `${Math.round(value * 1000) / 1000}`;
