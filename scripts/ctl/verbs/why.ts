/**
 * `ctl why`: what a card that is not online waits for or died of, and what to do.
 *
 * @module
 */
import type { Why } from "../../../host/control/card_control.ts";
import { chosenCards, ofEachCard } from "../cards.ts";
import { CARDS, verb } from "../verb.ts";

export const WHY = verb({
  name: "why",
  about: "What a card waits for or died of, and what to do",
  operands: CARDS,
  options: {},
  async run({ client, options, operands, out }) {
    const names = await chosenCards(client, operands);
    const { status, answers } = await ofEachCard<Why>(client, names, "/why");
    if (options.json) out.json(Object.fromEntries(answers));
    else {
      for (const { sentence, advice } of answers.values()) {
        out.line(`${sentence}${advice && `\n  ${advice}`}`);
      }
    }
    return status;
  },
});
