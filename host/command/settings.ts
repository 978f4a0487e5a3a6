/**
 * From the command line, and the configuration file if there is one, to one configuration: what the command line says
 * comes before the file, and the file before the defaults.
 *
 * @module
 */
import { CommandError, EXIT, wholeNumber } from "../../scripts/cli/mod.ts";
import { HUB_NAME } from "../backends/open_net.ts";
import { loadConfig } from "../config/load.ts";
import { type CardConfig, HOST_CONFIG, type HostConfig } from "../config/schema.ts";
import type { Options } from "./options.ts";

/** Options that are one card's. */
const OF_A_CARD = [
  "disk",
  "net",
  "address",
  "console",
  "card-loss-timeout",
  "os",
  "kernel",
  "initrd",
  "cmdline",
] as const satisfies readonly (keyof Options)[];

/** @throws {CommandError | RangeError | BackendError} */
export async function settings(options: Options): Promise<HostConfig> {
  if (options.config === undefined) {
    const terminal = Deno.stdin.isTerminal() && options.exec === undefined;
    const card = { console: [terminal ? "stdio" : "none"] };
    return ofCommandLine(options, HOST_CONFIG.parse({ cards: { [cardName(options.name)]: card } }));
  }
  if (options.exec !== undefined) {
    throw new CommandError(
      EXIT.usage,
      "Cannot use --exec with --config: that host serves its cards and runs no command of its own",
    );
  }
  const config = await loadConfig(options.config);
  return ofCommandLine(options, { ...config, state: config.state ?? stateFolder() });
}

/** The user's own: `$XDG_STATE_HOME/knightsbridge` or `~/.local/state/knightsbridge`. @throws {CommandError} */
function stateFolder(): string {
  const home = Deno.env.get("HOME");
  const base = Deno.env.get("XDG_STATE_HOME") || (home && `${home}/.local/state`);
  if (base) return `${base}/knightsbridge`;
  throw new CommandError(
    EXIT.resource,
    'Cannot find a folder for the state of the cards: set HOME or XDG_STATE_HOME, or "state" in the configuration',
  );
}

function ofCommandLine(options: Options, config: HostConfig): HostConfig {
  const { listen, secure, insecure, control } = options;
  // One of the two on the command line is the whole of what is wanted.
  const security = secure || insecure ? { secure, insecure } : {};
  return {
    ...config,
    ...(listen !== undefined && { listen }),
    ...(control !== undefined && { control }),
    ...security,
    cards: cardsOf(options, config),
  };
}

function cardsOf(options: Options, { cards }: HostConfig): HostConfig["cards"] {
  const given = OF_A_CARD.filter((name) => {
    const value = options[name];
    return typeof value === "string" || value !== undefined && value.length > 0;
  });
  const names = Object.keys(cards);
  const [only] = names;
  const name = options.name ?? (names.length === 1 ? only : undefined);
  if (name === undefined) {
    if (given.length === 0) return cards;
    throw new CommandError(
      EXIT.usage,
      `Cannot use --${given[0]} for ${names.length} cards: say which one with --name NAME`,
    );
  }
  if (!Object.hasOwn(cards, name)) {
    throw new CommandError(
      EXIT.usage,
      `Cannot find a card "${name}" in ${options.config}: wanted one of ${names.join(", ")}`,
    );
  }
  return { ...cards, [name]: { ...cards[name]!, ...cardOf(options) } };
}

function cardOf(options: Options): Partial<CardConfig> {
  const { disk, net, address, console, kernel, initrd, cmdline } = options;
  const loss = options["card-loss-timeout"];
  const texts = { net, address, kernel, initrd, cmdline };
  return {
    ...Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined)),
    ...(disk.length > 0 && { disks: [...disk] }),
    ...(console.length > 0 && { console: [...console] }),
    ...(options.os !== undefined && { os: osOf(options.os) }),
    ...(loss !== undefined && { lossTimeout: lossTimeout(loss) }),
  };
}

function lossTimeout(seconds: string): string {
  // A timer has 31 bits of ms.
  const range = { min: 1, max: 2_000_000, default: 0 };
  return `${wholeNumber("card-loss-timeout", seconds, range)}s`;
}

function osOf(text: string): CardConfig["os"] {
  if (text === "linux" || text === "diag") return text;
  throw new CommandError(EXIT.usage, `Cannot use --os ${text}: wanted linux or diag`);
}

function cardName(name: string | undefined): string {
  if (name === undefined) return "mic0";
  if (HUB_NAME.test(name)) return name;
  throw new CommandError(
    EXIT.usage,
    `Cannot name a card "${name}": wanted lower-case letters, digits and dashes, at most 32`,
  );
}
