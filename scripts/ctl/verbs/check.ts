/**
 * `ctl check`: whether cards are as they should be, point by point, in the manner of miccheck.
 *
 * @module
 */
import type { Check } from "../../../host/control/checks.ts";
import { EXIT } from "../../cli/errors.ts";
import { chosenCards, ofEachCard } from "../cards.ts";
import { CARDS, verb } from "../verb.ts";

const MARKS = { pass: "pass", fail: "FAIL", skip: "skip" } as const;

export const CHECK = verb({
  name: "check",
  about: "Whether cards are as they should be, and what to do if not; status 6 if one is not",
  operands: CARDS,
  options: {},
  async run({ client, options, operands, out }) {
    const names = await chosenCards(client, operands);
    const { status, answers } = await ofEachCard<Check[]>(client, names, "/check");
    if (options.json) out.json(Object.fromEntries(answers));
    else for (const [card, checks] of answers) show(card, checks, (line) => out.line(line));
    if (status !== EXIT.ok) return status;
    const failed = [...answers.values()].some((checks) => checks.some((c) => c.outcome === "fail"));
    return failed ? EXIT.card : EXIT.ok;
  },
});

function show(card: string, checks: readonly Check[], line: (text: string) => void): void {
  for (const { number, title, outcome, detail, advice } of checks) {
    line(`${card} ${number}. ${MARKS[outcome]}  ${title}: ${detail}`);
    if (advice !== undefined) line(`${" ".repeat(card.length + 4)}      ${advice}`);
  }
}
