/**
 * `ctl status`: how the cards are, once or whenever that changes.
 *
 * @module
 */
import type { CardStatus, ControlEvent } from "../../../host/control/card_control.ts";
import { CommandError, EXIT } from "../../cli/errors.ts";
import { cardPath, chosenCards } from "../cards.ts";
import type { ControlClient } from "../client.ts";
import { clock, duration, table } from "../table.ts";
import { CARDS, type Output, verb } from "../verb.ts";

export const STATUS = verb({
  name: "status",
  short: "s",
  about: "How the cards are",
  operands: CARDS,
  options: {
    watch: { kind: "flag", help: "Again whenever it changes; with --json every event as a line." },
  },
  async run({ client, options, operands, signal, out }) {
    if (options.watch) {
      await watch(client, operands, signal, out, options.json);
      throw new CommandError(EXIT.resource, "Cannot watch any longer: the host has stopped");
    }
    const cards = await statuses(client, operands);
    if (options.json) out.json(cards);
    else for (const line of statusTable(cards)) out.line(line);
    return EXIT.ok;
  },
});

async function statuses(
  client: ControlClient,
  operands: readonly string[],
): Promise<readonly CardStatus[]> {
  if (operands.length === 0) return await client.json("/v1/cards");
  const names = await chosenCards(client, operands);
  return await Promise.all(names.map((name) => client.json<CardStatus>(cardPath(name))));
}

/** For people. */
export function statusTable(cards: readonly CardStatus[], now = Date.now()): string[] {
  const head = ["CARD", "STATE", "FOR", "BOOT", "CRASHES", "POST", "LINK", "OS", "MEMORY", "PEER"];
  return table([
    head,
    ...cards.map((card) => [
      card.name,
      stateText(card),
      duration((now - card.since) / 1000),
      String(card.boot),
      String(card.crashCount),
      card.postCode ?? "-",
      card.link,
      card.os ?? "-",
      card.memoryMib === undefined ? "-" : `${card.memoryMib} MiB`,
      card.peer ?? "-",
    ]),
  ]);
}

/** The state, and why the OS stopped where that is of interest. */
export function stateText({ state, reason, nextBoot }: CardStatus): string {
  const notes = [
    ...(reason !== "nop" && state !== "online" && state !== "booting" ? [reason] : []),
    ...(nextBoot === undefined ? [] : [`boots at ${clock(nextBoot).slice(0, 8)}`]),
  ];
  return notes.length > 0 ? `${state} (${notes.join(", ")})` : state;
}

async function watch(
  client: ControlClient,
  names: readonly string[],
  signal: AbortSignal,
  out: Output,
  json: boolean,
): Promise<void> {
  const query = names.length === 1 ? `?card=${encodeURIComponent(names[0]!)}` : "";
  const shown = new Map<string, CardStatus>();
  // The host tells first how each card is: the table is not drawn before it is whole.
  const first = json ? new Set<string>() : new Set(await chosenCards(client, names));
  for await (const event of events(client, `/v1/events${query}`, signal)) {
    if (names.length > 0 && event.card !== undefined && !names.includes(event.card)) continue;
    if (json) {
      out.json(event);
      continue;
    }
    if (event.type !== "card") continue;
    const before = shown.get(event.card);
    shown.set(event.card, event.status);
    first.delete(event.card);
    if (out.terminal) {
      if (first.size > 0) continue;
      out.write(`\x1b[H\x1b[2J${statusTable([...shown.values()]).join("\n")}\n`);
    } else if (before?.state !== event.status.state) {
      out.line(`${clock(event.status.since)} ${event.card} ${stateText(event.status)}`);
    }
  }
}

/** The data of server-sent events. */
async function* events(
  client: ControlClient,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<ControlEvent> {
  for await (const line of client.lines(path, { signal })) {
    if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
  }
}
