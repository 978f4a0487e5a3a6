/**
 * `ctl wait`: until cards are in a state.
 *
 * @module
 */
import type { CardStatus } from "../../../host/control/card_control.ts";
import { CommandError, EXIT } from "../../cli/errors.ts";
import { cardPath, chosenCards, eachCard } from "../cards.ts";
import type { ControlClient } from "../client.ts";
import { CARDS, verb } from "../verb.ts";
import { stateText } from "./status.ts";

/** States in which a card stays until somebody does something: what micctrl waited for, and ours. */
const SETTLED = ["online", "ready", "suspended", "reset_failed"];
/** The host lets nobody wait longer at once, seconds. */
const LONGEST = 3600;

export const WAIT = verb({
  name: "wait",
  short: "w",
  about: "Wait until cards are on their way nowhere, or in a state",
  operands: CARDS,
  options: {
    state: {
      kind: "text",
      value: "STATE[,STATE...]",
      help: `Which (${SETTLED.join(",")}).`,
    },
    timeout: { kind: "text", value: "SECONDS", help: "No longer than this (120)." },
  },
  examples: ["ctl wait mic0 --state online --timeout 30"],
  async run({ client, options, operands, signal, out }) {
    const states = options.state?.split(",") ?? SETTLED;
    const timeout = waitSeconds(options.timeout, 120);
    const done: CardStatus[] = [];
    const status = await eachCard(await chosenCards(client, operands), async (card) => {
      const after = await waitFor(client, card, states, { timeout, signal });
      done.push(after);
      if (!options.json) out.line(`${card}: ${stateText(after)}`);
      const failed = options.state === undefined && after.state === "reset_failed";
      return failed ? EXIT.card : EXIT.ok;
    });
    if (options.json) out.json(done);
    return status;
  },
});

/** How `card` is as soon as it is in one of `states`. @throws {CommandError} if it is in none of them in time */
export async function waitFor(
  client: ControlClient,
  card: string,
  states: readonly string[],
  { timeout, signal }: { readonly timeout: number; readonly signal: AbortSignal },
): Promise<CardStatus> {
  const query = new URLSearchParams(states.map((state) => ["state", state]));
  query.set("timeout", String(timeout));
  return await client.json(cardPath(card, `/wait?${query}`), { signal });
}

/** @throws {CommandError} for what is no time, or longer than the host lets one wait */
export function waitSeconds(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (seconds <= LONGEST) return seconds;
  const wanted = `wanted seconds, at most ${LONGEST}`;
  throw new CommandError(EXIT.usage, `Cannot use --timeout ${text}: ${wanted}`);
}
