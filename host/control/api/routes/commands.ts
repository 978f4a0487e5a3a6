/**
 * Commands to a card: each is answered as soon as it is under way, with how the card is then.
 *
 * @module
 */
import { commandProblem } from "../problem.ts";
import { route } from "../route.ts";

const COMMANDS = {
  boot: "Downloads the card's OS and starts it; first opens again what the card could not have",
  reset: "Resets the card, whatever it does",
  shutdown: "Asks the card OS to stop in good order",
  suspend: "Shuts the card OS down, remembers that it ran, and boots none until resume",
  resume: "Ends a suspension, and boots what ran",
} as const;

export const COMMAND_ROUTES = Object.entries(COMMANDS).map(([name, summary]) =>
  route({
    method: "post",
    path: `/v1/cards/{card}/${name}`,
    summary,
    answer: "CardStatus",
    status: 202,
    problems: [409, 503],
    async handle({ card }) {
      await card[name as keyof typeof COMMANDS]().catch((error) => {
        throw commandProblem(error);
      });
      return card.status();
    },
  })
);
