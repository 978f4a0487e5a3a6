/**
 * A console backend by its name on the command line: `stdio`, `pty`, `pty:LINK`, `log:FILE`, `tcp:ADDR:PORT`,
 * `unix:PATH` or `none`.
 *
 * @module
 */
import type { BackendError } from "../../protocol/mod.ts";
import { nearest } from "./_nearest.ts";
import { ListenerBackend } from "./listener.ts";
import { LogBackend } from "./log.ts";
import { noneConsole } from "./none_console.ts";
import { PtyBackend } from "./pty.ts";
import { StdioBackend } from "./stdio.ts";
import type { ConsoleBackend } from "./types.ts";

/** What {@linkcode parseConsole} makes of the text. */
export type ConsoleChoice =
  | { readonly kind: "stdio" }
  | { readonly kind: "pty"; readonly link?: string }
  | { readonly kind: "log"; readonly path: string }
  | { readonly kind: "tcp"; readonly hostname: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "none" };

/** For help texts. */
export const CONSOLE_CHOICES = "stdio, pty, pty:LINK, log:FILE, tcp:ADDR:PORT, unix:PATH or none";

const FORMS: Readonly<Record<ConsoleChoice["kind"], string>> = {
  stdio: "stdio",
  pty: "pty or pty:LINK",
  log: "log:FILE",
  tcp: "tcp:ADDR:PORT, as in tcp:127.0.0.1:7000",
  unix: "unix:PATH",
  none: "none",
};

/** Opens nothing. @throws {RangeError} naming the text and the choices */
export function parseConsole(text: string): ConsoleChoice {
  const colon = text.indexOf(":");
  const kind = colon < 0 ? text : text.slice(0, colon);
  const rest = colon < 0 ? undefined : text.slice(colon + 1);
  const choice = parse(kind, rest);
  if (choice !== undefined) return choice;
  const word = nearest(kind, Object.keys(FORMS)) as ConsoleChoice["kind"] | undefined;
  const wanted = word === undefined ? CONSOLE_CHOICES : FORMS[word];
  throw new RangeError(`Cannot use console "${text}": wanted ${wanted}`);
}

function parse(kind: string, rest: string | undefined): ConsoleChoice | undefined {
  if (rest === "") return undefined;
  switch (kind) {
    case "stdio":
    case "none":
      return rest === undefined ? { kind } : undefined;
    case "pty":
      return rest === undefined ? { kind } : { kind, link: rest };
    case "log":
    case "unix":
      return rest === undefined ? undefined : { kind, path: rest };
    case "tcp": {
      const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]+)):(\d{1,5})$/.exec(rest ?? "");
      if (match === null || Number(match[3]) > 65535) return undefined;
      return { kind, hostname: (match[1] ?? match[2])!, port: Number(match[3]) };
    }
    default:
      return undefined;
  }
}

/** Options of {@linkcode openConsole}. */
export interface OpenConsoleOptions {
  /** stdio: Ctrl-] was typed. */
  readonly detach?: () => void;
  /** tcp: listen beyond loopback. */
  readonly insecure?: boolean;
  /** Called once if a log file cannot be written any more. */
  readonly report?: (error: BackendError) => void;
}

/** @throws {BackendError} naming what is missing and what to do; {RangeError} for an address that needs `insecure` */
export async function openConsole(
  choice: ConsoleChoice,
  options: OpenConsoleOptions = {},
): Promise<ConsoleBackend> {
  switch (choice.kind) {
    case "stdio":
      return new StdioBackend(options);
    case "pty":
      return PtyBackend.open(choice.link);
    case "log":
      return LogBackend.open(choice.path, options.report);
    case "tcp": {
      const { hostname, port } = choice;
      return await ListenerBackend.open({ transport: "tcp", hostname, port }, options);
    }
    case "unix":
      return await ListenerBackend.open({ transport: "unix", path: choice.path });
    case "none":
      return noneConsole();
  }
}
