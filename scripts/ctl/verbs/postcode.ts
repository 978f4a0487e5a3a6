/**
 * `ctl postcode`: the POST codes of the last boot, with their times.
 *
 * @module
 */
import { chosenCards, ofEachCard } from "../cards.ts";
import { clock } from "../table.ts";
import { CARDS, verb } from "../verb.ts";

interface PostCode {
  readonly code: string;
  readonly time: number;
}

export const POSTCODE = verb({
  name: "postcode",
  about: "The POST codes of the last boot",
  operands: CARDS,
  options: {},
  async run({ client, options, operands, out }) {
    const names = await chosenCards(client, operands);
    const { status, answers } = await ofEachCard<PostCode[]>(client, names, "/postcodes");
    if (options.json) out.json(Object.fromEntries(answers));
    else {
      for (const [card, codes] of answers) {
        for (const { code, time } of codes) out.line(`${card}  ${clock(time)}  ${code}`);
      }
    }
    return status;
  },
});
