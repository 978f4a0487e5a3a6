/**
 * `ctl console`: a card's console in this terminal.
 *
 * @module
 */
import type { CardStatus } from "../../../host/control/card_control.ts";
import { CommandError, EXIT } from "../../cli/errors.ts";
import { tell } from "../../cli/tell.ts";
import { cardPath } from "../cards.ts";
import type { ControlClient } from "../client.ts";
import { attach } from "../terminal.ts";
import { verb } from "../verb.ts";

/** Bytes of what was shown before: about a screen. */
const SCROLLBACK = 4096;

export const CONSOLE = verb({
  name: "console",
  about: "A card's console in this terminal; Ctrl-] leaves",
  operands: { value: "CARD", completes: ["cards"], least: 1, most: 1 },
  options: {
    takeover: { kind: "flag", help: "Type, whoever types there now; who did is told." },
    "read-only": { kind: "flag", help: "Only watch." },
    scrollback: {
      kind: "text",
      value: "BYTES",
      help: `Of what was shown before, at most 262144 (${SCROLLBACK}).`,
    },
  },
  examples: ["ctl console mic0", "ctl console mic0 --takeover"],
  async run({ client, operands: [card], options, signal }) {
    const types = !options["read-only"];
    await watch(client, card!, {
      types,
      takeover: options.takeover && types,
      scrollback: options.scrollback ?? String(SCROLLBACK),
      signal,
    });
    if (Deno.stdout.isTerminal()) tell(`\nctl: left the console of ${card}`);
    return EXIT.ok;
  },
});

export interface WatchOptions {
  readonly types: boolean;
  readonly takeover: boolean;
  /** Bytes. */
  readonly scrollback: string;
  readonly signal: AbortSignal;
}

/** The console of `card` on standard output, until somebody leaves. @throws {CommandError} if it was not this one */
export async function watch(
  client: ControlClient,
  card: string,
  { types, takeover, scrollback, signal }: WatchOptions,
): Promise<void> {
  const query = new URLSearchParams({ scrollback, as: `ctl ${Deno.pid}` });
  if (types) query.set("write", "1");
  if (takeover) query.set("takeover", "1");
  // A WebSocket that is refused does not say why; this does.
  await client.json<CardStatus>(cardPath(card));
  await client.text(cardPath(card, `/console/log?bytes=0`));
  const socket = client.socket(cardPath(card, `/console?${query}`));
  const { left, opened, reason } = await attach(socket, { types, signal });
  if (left) return;
  if (opened && reason === "") throw new CommandError(EXIT.resource, "The host has gone");
  const why = opened ? reason : "the host refused the connection";
  throw new CommandError(EXIT.resource, `Cannot show the console of ${card} any longer: ${why}`);
}
