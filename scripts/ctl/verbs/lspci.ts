/**
 * `ctl lspci`: the configuration space of cards, readable.
 *
 * @module
 */
import { chosenCards, ofEachCard } from "../cards.ts";
import { CARDS, verb } from "../verb.ts";

export const LSPCI = verb({
  name: "lspci",
  about: "The PCI configuration space of cards, decoded",
  operands: CARDS,
  options: {
    hex: { kind: "flag", help: "Its 256 bytes, too." },
  },
  async run({ client, options, operands, out }) {
    const names = await chosenCards(client, operands);
    const { status, answers } = await ofEachCard<{ config: string; text: string }>(
      client,
      names,
      "/lspci",
    );
    if (options.json) out.json(Object.fromEntries(answers));
    else {
      for (const [card, { config, text }] of answers) {
        out.write(`${card} ${text}`);
        if (options.hex) { for (const line of hexLines(config)) out.line(line); }
      }
    }
    return status;
  },
});

/** As `lspci -x` has it: 16 bytes a line. */
function hexLines(config: string): string[] {
  const lines = config.match(/.{1,32}/g) ?? [];
  return lines.map((line, at) =>
    `${(16 * at).toString(16).padStart(2, "0")}: ${line.match(/../g)!.join(" ")}`
  );
}
