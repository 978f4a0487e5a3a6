/**
 * The shell of the diagnostic OS: words, quotes, `;` and `&&`, and the table of commands. One line in, one exit status
 * out; the terminal and the exec ports both stand on it.
 *
 * @module
 */
import { bench } from "./commands/bench.ts";
import { dd, discard, lsblk, sha256, sync } from "./commands/disk.ts";
import { cat, echo, lspci, seq, stty, uname } from "./commands/info.ts";
import { ip, ping } from "./commands/net.ts";
import { crash, halt, hang, poweroff, reboot } from "./commands/power.ts";
import { type Command, type CommandIo, UsageError } from "./commands/types.ts";
import type { DiagOs } from "./os.ts";

/** Exit statuses with a meaning, as in a POSIX shell. */
const STATUS = { failed: 1, usage: 2, notFound: 127, interrupted: 130 } as const;

const help: Command = {
  usage: "",
  summary: "list the commands",
  async run(_args, io) {
    for (const [name, { usage, summary }] of Object.entries(COMMANDS)) {
      await io.out(`${`${name} ${usage}`.trimEnd()}\n    ${summary}\n`);
    }
    return 0;
  },
};

const time: Command = {
  usage: "COMMAND [ARGUMENT...]",
  summary: "run a command and tell how long it took",
  async run(args, io, os) {
    const start = performance.now();
    const status = await runWords(args, io, os);
    await io.err(`real ${((performance.now() - start) / 1000).toFixed(6)} s\n`);
    return status;
  },
};

const COMMANDS: Readonly<Record<string, Command>> = {
  help,
  lspci,
  lsblk,
  dd,
  sync,
  flush: sync,
  sha256,
  discard,
  bench,
  ping,
  ip,
  echo,
  cat,
  seq,
  stty,
  uname,
  time,
  poweroff,
  halt,
  reboot,
  crash,
  hang,
};

type Token = { readonly word: string } | { readonly operator: ";" | "&&" };

/** Words of a line; quotes keep blanks, nothing is expanded. @throws {UsageError} for an open quote */
export function tokenize(line: string): Token[] {
  const tokens: Token[] = [];
  let word: string | undefined;
  let quote = "";
  const end = () => {
    if (word !== undefined) tokens.push({ word });
    word = undefined;
  };
  for (let i = 0; i < line.length; i++) {
    const char = line[i]!;
    if (quote) {
      if (char === quote) quote = "";
      else word += char;
    } else if (char === '"' || char === "'") {
      quote = char;
      word ??= "";
    } else if (char === ";" || char === "\n") {
      end();
      tokens.push({ operator: ";" });
    } else if (char === "&" && line[i + 1] === "&") {
      end();
      tokens.push({ operator: "&&" });
      i++;
    } else if (char === " " || char === "\t") {
      end();
    } else {
      word = (word ?? "") + char;
    }
  }
  if (quote) throw new UsageError(`Cannot read line: no closing ${quote}`);
  end();
  return tokens;
}

/** Runs a line; the status is that of its last command. Never throws. */
export async function runLine(line: string, io: CommandIo, os: DiagOs): Promise<number> {
  let status = 0;
  try {
    let words: string[] = [];
    let skip = false;
    for (const token of [...tokenize(line), { operator: ";" } as const]) {
      if ("word" in token) {
        words.push(token.word);
        continue;
      }
      if (words.length > 0 && !skip) status = await runWords(words, io, os);
      skip = token.operator === "&&" && status !== 0;
      words = [];
    }
  } catch (error) {
    status = STATUS.usage;
    await io.err(`${String(error)}\n`).catch(() => {});
  }
  return status;
}

async function runWords(words: readonly string[], io: CommandIo, os: DiagOs): Promise<number> {
  const [name = "", ...args] = words;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  try {
    if (!command) {
      await io.err(`${name}: not found (try help)\n`);
      return STATUS.notFound;
    }
    return await command.run(args, io, os);
  } catch (error) {
    if (io.signal.aborted) return STATUS.interrupted;
    const message = error instanceof Error ? error.message : String(error);
    await io.err(`${name}: ${message}\n`);
    if (!(error instanceof UsageError)) return STATUS.failed;
    await io.err(`usage: ${`${name} ${command!.usage}`.trimEnd()}\n`);
    return STATUS.usage;
  }
}
