/**
 * Command line options from one table: parsing, `--help`, and refusals that name the option and suggest the right one.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { closestString } from "@std/text/closest-string";
import { CommandError, EXIT } from "./errors.ts";

/** One option. `flag` takes no value, `text` the last value given, `list` every value given. */
export interface Option {
  readonly kind: "flag" | "text" | "list";
  /** Name of the value in the help text, such as `PATH`. */
  readonly value?: string;
  readonly help: string;
}
export type OptionTable = Readonly<Record<string, Option>>;

/** The parsed values, by option name. */
export type OptionValues<T extends OptionTable> = {
  readonly [K in keyof T]: T[K]["kind"] extends "flag" ? boolean
    : T[K]["kind"] extends "list" ? readonly string[]
    : string | undefined;
};

/** What a command takes beside options. */
export interface Operands {
  /** As the help text shows them: `[CARD...]`. */
  readonly value: string;
  readonly least?: number;
  readonly most?: number;
  /** Everything from the first operand on is one: what follows are another command's options. */
  readonly last?: boolean;
}

export interface Command<T extends OptionTable> {
  /** As typed: `deno task host`. */
  readonly name: string;
  /** None, if absent. */
  readonly operands?: Operands;
  /** One sentence, then whatever paragraphs help. */
  readonly about: string;
  readonly options: T;
  readonly examples?: readonly string[];
}

/** The text of `--help`. */
export function helpText(command: Command<OptionTable>): string {
  const rows = [
    ...Object.entries(command.options),
    [
      "help",
      { kind: "flag", help: "Show this text." },
    ] as const,
  ];
  const left = rows.map(([name, option]) =>
    `  --${name}${option.kind === "flag" ? "" : ` ${option.value ?? "VALUE"}`}`
  );
  const width = Math.max(...left.map((text) => text.length)) + 2;
  const lines = rows.map(([, option], i) =>
    left[i]!.padEnd(width) + option.help.replaceAll("\n", "\n" + " ".repeat(width))
  );
  const examples = command.examples?.length
    ? `\nExamples:\n${command.examples.map((line) => `  ${line}`).join("\n")}\n`
    : "";
  const usage = command.operands
    ? `\nUsage: ${command.name} [OPTIONS] ${command.operands.value}\n`
    : "";
  return `${command.name}: ${command.about}\n${usage}\nOptions:\n${lines.join("\n")}\n${examples}`;
}

/**
 * Parses `argv`. Prints help and returns undefined when asked for it.
 * @throws {CommandError} for what the table does not know, or a value missing or given twice
 */
export function parseOptions<const T extends OptionTable>(
  command: Command<T>,
  argv: readonly string[],
): OptionValues<T> | undefined {
  return parseCommandLine(command, argv)?.options;
}

/** As {@linkcode parseOptions}, with the operands. */
export function parseCommandLine<const T extends OptionTable>(
  command: Command<T>,
  argv: readonly string[],
): { readonly options: OptionValues<T>; readonly operands: readonly string[] } | undefined {
  const names = Object.keys(command.options);
  const named = (kind: Option["kind"]) =>
    names.filter((name) => command.options[name]!.kind === kind);
  const refuse = (message: string): never => {
    throw new CommandError(EXIT.usage, `${message} (try "${command.name} --help")`);
  };
  const parsed = parseArgs(argv, {
    boolean: [...named("flag"), "help"],
    string: [...named("text"), ...named("list"), "_"],
    stopEarly: command.operands?.last ?? false,
    collect: [...named("text"), ...named("list")],
    alias: { help: "h" },
    unknown(argument: string, key?: string) {
      if (key === undefined) {
        if (command.operands) return true;
        return refuse(`Cannot use argument "${argument}": only options are taken`);
      }
      const near = closestString(key, [...names, "help"]);
      return refuse(
        `Cannot use option "--${key}": there is none of that name; did you mean "--${near}"?`,
      );
    },
  });
  if (parsed["help"] === true) {
    console.log(helpText(command));
    return undefined;
  }
  const values: Record<string, unknown> = {};
  for (const name of names) {
    const option = command.options[name]!;
    if (option.kind === "flag") {
      values[name] = parsed[name] === true;
      continue;
    }
    const given = (parsed[name] ?? []) as string[];
    if (given.some((value) => value === "")) {
      refuse(`Cannot use option "--${name}": wanted ${option.value ?? "a value"} after it`);
    }
    if (option.kind === "text" && given.length > 1) {
      refuse(`Cannot use option "--${name}" ${given.length} times: wanted once`);
    }
    values[name] = option.kind === "list" ? given : given[0];
  }
  const operands = parsed._ as string[];
  if (command.operands) {
    const { value, least = 0, most = Infinity } = command.operands;
    if (operands.length < least || operands.length > most) {
      refuse(`Cannot use ${operands.length || "no"} arguments: wanted ${value}`);
    }
  }
  return { options: values as OptionValues<T>, operands };
}

/** A whole number option. @throws {CommandError} outside `min` to `max` */
export function wholeNumber(
  name: string,
  text: string | undefined,
  range: { readonly min: number; readonly max: number; readonly default: number },
): number {
  if (text === undefined) return range.default;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= range.min && value <= range.max) return value;
  throw new CommandError(
    EXIT.usage,
    `Cannot use --${name} ${text}: wanted a whole number from ${range.min} to ${range.max}`,
  );
}

/** `ADDR:PORT`, `[IPV6]:PORT` or `PORT` alone (then `host` is the default). @throws {CommandError} */
export function hostAndPort(
  name: string,
  text: string,
  defaultHost: string,
): { readonly hostname: string; readonly port: number } {
  const match = /^(?:(?:\[([^\]]+)\]|([^:]+)):)?(\d{1,5})$/.exec(text);
  const port = match ? Number(match[3]) : NaN;
  if (!match || port > 65535) {
    throw new CommandError(
      EXIT.usage,
      `Cannot use --${name} ${text}: wanted ADDRESS:PORT, such as ${defaultHost}:4310`,
    );
  }
  return { hostname: match[1] ?? match[2] ?? defaultHost, port };
}
