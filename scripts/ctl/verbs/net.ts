/**
 * `ctl net`: the cable of cards' networks, in and out.
 *
 * @module
 */
import type { CardStatus } from "../../../host/control/card_control.ts";
import { CommandError, EXIT } from "../../cli/errors.ts";
import { cardPath, chosenCards, eachCard } from "../cards.ts";
import { verb } from "../verb.ts";

export const NET = verb({
  name: "net",
  about: "Plug in or pull the network cable of cards",
  operands: { value: "up|down [CARD...]", completes: [["up", "down"], "cards"], least: 1 },
  options: {},
  async run({ client, options, operands: [carrier, ...names], out }) {
    if (carrier !== "up" && carrier !== "down") {
      throw new CommandError(EXIT.usage, `Cannot set the network ${carrier}: wanted up or down`);
    }
    const done: CardStatus[] = [];
    const status = await eachCard(await chosenCards(client, names), async (card) => {
      const request = { method: "PATCH", body: { carrier } } as const;
      done.push(await client.json<CardStatus>(cardPath(card, "/net"), request));
      if (!options.json) out.line(`${card}: carrier ${carrier}`);
      return EXIT.ok;
    });
    if (options.json) out.json(done);
    return status;
  },
});
