/**
 * `ctl boot`, `reset`, `shutdown`, `suspend`, `resume`: commands to cards, and the wait for what comes of them.
 *
 * @module
 */
import type { CardStatus } from "../../../host/control/card_control.ts";
import { CommandError, EXIT } from "../../cli/errors.ts";
import { cardPath, chosenCards, eachCard } from "../cards.ts";
import type { ControlClient } from "../client.ts";
import { CARDS, type Verb, verb } from "../verb.ts";
import { stateText } from "./status.ts";
import { waitFor, waitSeconds } from "./wait.ts";

/** Where a command leads, and where a card rests that did not get there. */
interface Course {
  readonly wanted: readonly CardStatus["state"][];
  readonly otherwise: readonly CardStatus["state"][];
}

const REST = ["ready", "reset_failed", "suspended", "absent"] as const;
const TO_ONLINE: Course = { wanted: ["online"], otherwise: REST };
const TO_READY: Course = { wanted: ["ready"], otherwise: ["reset_failed", "absent"] };
const TO_SUSPENDED: Course = {
  wanted: ["suspended"],
  otherwise: ["ready", "reset_failed", "absent"],
};

export const BOOT = command("boot", "b", "Boot cards that are ready", () => TO_ONLINE);
export const RESET = command("reset", "r", "Reset cards, whatever they do", () => TO_READY);
export const SHUTDOWN = command("shutdown", "S", "Ask card OSes to stop", () => TO_READY);
export const SUSPEND = command(
  "suspend",
  undefined,
  "Shut card OSes down, and remember that they ran",
  () => TO_SUSPENDED,
);
export const RESUME = command(
  "resume",
  undefined,
  "End a suspension: boot what ran",
  ({ suspendedOs }) => suspendedOs ? TO_ONLINE : TO_READY,
);

function command(
  name: string,
  short: string | undefined,
  about: string,
  course: (before: CardStatus) => Course,
): Verb {
  return verb({
    name,
    ...(short && { short }),
    about,
    operands: CARDS,
    options: {
      wait: { kind: "flag", help: "Until that is done, or cannot be." },
      timeout: { kind: "text", value: "SECONDS", help: "Wait no longer than this (120)." },
    },
    async run({ client, options, operands, signal, out }) {
      const timeout = waitSeconds(options.timeout, 120);
      const done: CardStatus[] = [];
      const status = await eachCard(await chosenCards(client, operands), async (card) => {
        const before = await client.json<CardStatus>(cardPath(card));
        let after = await client.json<CardStatus>(cardPath(card, `/${name}`), { method: "POST" });
        if (options.wait) {
          after = await outcome(client, name, after, course(before), { timeout, signal });
        }
        done.push(after);
        if (!options.json) out.line(`${card}: ${stateText(after)}`);
        return EXIT.ok;
      });
      if (options.json) out.json(done);
      return status;
    },
  });
}

/** How the card is when the command is over. @throws {CommandError} if it came to something else */
async function outcome(
  client: ControlClient,
  command: string,
  { name, state }: CardStatus,
  { wanted, otherwise }: Course,
  limits: { readonly timeout: number; readonly signal: AbortSignal },
): Promise<CardStatus> {
  if (state === "absent") {
    // It has taken the command without a card process, and does it when there is one.
    const begun = wanted.includes("online") ? ["booting", ...wanted] : wanted;
    await waitFor(client, name, [...begun, "reset_failed"], limits);
  }
  const after = await waitFor(client, name, [...wanted, ...otherwise], limits);
  if (wanted.includes(after.state)) return after;
  const { sentence } = await client.json<{ sentence: string }>(cardPath(name, "/why"));
  const text = `Cannot ${command} ${name}: it is ${stateText(after)}, wanted ${
    wanted.join(" or ")
  }`;
  throw new CommandError(EXIT.card, `${text}; ${sentence}`);
}
