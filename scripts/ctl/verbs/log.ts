/**
 * `ctl log`: how a boot went, step by step, and what the kernel said at its end.
 *
 * @module
 */
import type { BootRecord } from "../../../host/control/card_control.ts";
import { CommandError, EXIT } from "../../cli/errors.ts";
import { cardPath, chosenCards, eachCard } from "../cards.ts";
import type { ControlClient } from "../client.ts";

import { clock, table } from "../table.ts";
import { CARDS, type Output, verb } from "../verb.ts";
import { watch } from "./console.ts";

export const LOG = verb({
  name: "log",
  about: "How the last boot went, step by step, and the kernel's log of a crash",
  operands: CARDS,
  options: {
    boot: { kind: "text", value: "N", help: "Boot number N instead of the last." },
    boots: { kind: "flag", help: "A list of the boots that are remembered." },
    console: { kind: "flag", help: "What the console showed in it, each line with its time." },
    follow: { kind: "flag", help: "What the console of one card shows, until Ctrl-C." },
  },
  async run({ client, options, operands, signal, out }) {
    const names = await chosenCards(client, operands);
    if (options.follow) return await follow(client, names, signal);
    if (options.console) return await consoleLogs(client, names, options.boot ?? "last", out);
    const path = options.boots ? "/boots" : `/boots/${encodeURIComponent(options.boot ?? "last")}`;
    const logs = new Map<string, BootRecord | BootRecord[]>();
    const status = await eachCard(names, async (card) => {
      logs.set(card, await client.json(cardPath(card, path)));
      return EXIT.ok;
    });
    const found = names.filter((card) => logs.has(card)).map((card) =>
      [card, logs.get(card)!] as const
    );
    if (options.json) out.json(Object.fromEntries(found));
    else {
      for (const [card, log] of found) {
        for (const line of Array.isArray(log) ? list(card, log) : course(card, log)) out.line(line);
      }
    }
    return status;
  },
});

/** Read only: from about a screen back on. */
async function follow(
  client: ControlClient,
  names: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const [card, ...others] = names;
  if (card === undefined || others.length > 0) {
    throw new CommandError(EXIT.usage, "Cannot follow several cards at once: name one");
  }
  await watch(client, card, { types: false, takeover: false, scrollback: "4096", signal });
  return EXIT.ok;
}

async function consoleLogs(
  client: ControlClient,
  names: readonly string[],
  boot: string,
  out: Output,
): Promise<number> {
  return await eachCard(names, async (card) => {
    const text = await client.text(cardPath(card, `/boots/${encodeURIComponent(boot)}/log`));
    if (names.length > 1) out.line(`${card}:`);
    out.write(text);
    return EXIT.ok;
  });
}

function list(card: string, boots: readonly BootRecord[]): string[] {
  return table([
    ["CARD", "BOOT", "BEGUN", "ONLINE AFTER", "ENDED", "BY"],
    ...boots.map((boot) => [
      card,
      String(boot.number),
      new Date(boot.begun).toISOString(),
      boot.online === undefined ? "-" : seconds(boot.online - boot.begun),
      boot.ended === undefined ? "-" : new Date(boot.ended).toISOString(),
      boot.ended === undefined ? "-" : ending(boot),
    ]),
  ]);
}

function course(card: string, boot: BootRecord): string[] {
  const { number, os, begun, steps, ended, kernelLog } = boot;
  const lines = [`${card} boot ${number}, ${os}, ${new Date(begun).toISOString()}`];
  for (const { step, time, detail } of steps) {
    lines.push(`  ${seconds(time - begun).padStart(10)}  ${step}${detail ? `: ${detail}` : ""}`);
  }
  if (ended !== undefined) {
    lines.push(
      `  ${seconds(ended - begun).padStart(10)}  ended at ${clock(ended)}: ${ending(boot)}`,
    );
  }
  if (kernelLog) lines.push("  the kernel's last words:", ...kernelLog.trimEnd().split("\n"));
  return lines;
}

const ending = ({ reason = "nop", detail, asked }: BootRecord): string =>
  [reason === "nop" ? "reset" : reason, ...(asked ? ["asked"] : []), ...(detail ? [detail] : [])]
    .join(", ");

const seconds = (ms: number): string => `${(ms / 1000).toFixed(3)} s`;
