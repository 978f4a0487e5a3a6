/**
 * `ctl completion`: what a shell needs to complete verbs, options and names of cards.
 *
 * @module
 */
import { CommandError, EXIT } from "../../cli/errors.ts";
import { CARD_NAMES, SCRIPTS } from "../completion.ts";
import { chosenCards } from "../cards.ts";
import { verb } from "../verb.ts";

const SHELLS = Object.keys(SCRIPTS);

export const COMPLETION = verb({
  name: "completion",
  about: "A script that completes ctl's words in a shell",
  operands: { value: SHELLS.join("|"), completes: [SHELLS, []], least: 1, most: 1 },
  options: {},
  examples: [
    "source <(ctl completion bash)",
    "ctl completion fish > ~/.config/fish/completions/ctl.fish",
  ],
  async run({ client, operands: [which], out, verbs }) {
    if (which === CARD_NAMES) {
      for (const card of await chosenCards(client, [])) out.line(card);
      return EXIT.ok;
    }
    const script = SCRIPTS[which!];
    if (!script) {
      const text = `Cannot complete for shell "${which}": wanted ${SHELLS.join(", ")}`;
      throw new CommandError(EXIT.usage, text);
    }
    out.write(script(verbs));
    return EXIT.ok;
  },
});
