/**
 * The programs that are installed, and the shell script that starts one where it cannot be compiled.
 *
 * Each is a task of deno.json under another name: its permissions are the task's, written down once.
 *
 * @module
 */
import { taskCommand } from "../cli/tasks.ts";

export interface Program {
  readonly name: string;
  readonly task: string;
}

export const PROGRAMS: readonly Program[] = [
  { name: "knightsbridge", task: "ctl" },
  { name: "knightsbridge-host", task: "host" },
  { name: "knightsbridge-card", task: "card" },
  { name: "knightsbridge-keygen", task: "keygen" },
];

export interface LauncherPlaces {
  /** The Deno executable. */
  readonly deno: string;
  /** The installed sources. */
  readonly library: string;
}

/**
 * A shell script that runs `program` from its installed sources with exactly its task's permissions. `$HOME` and its
 * like are those of whoever runs it, as in `deno task`; nothing is downloaded, and no lock file is written.
 */
export async function launcher(
  { name, task }: Program,
  { deno, library }: LauncherPlaces,
): Promise<string> {
  const { flags, script } = await taskCommand(task);
  const words = flags.map((flag) => `"${inLibrary(flag, library)}"`);
  return [
    "#!/bin/sh",
    `# ${name}: task "${task}" of knightsbridge, with the permissions that it names.`,
    `exec ${quoted(deno)} run --quiet --cached-only --frozen \\`,
    ...words.map((word) => `  ${word} \\`),
    `  ${quoted(`${library}/${script}`)} "$@"`,
    "",
  ].join("\n");
}

/** Paths that a task gives relative to the checkout are in the library. */
function inLibrary(flag: string, library: string): string {
  const [name, values] = flag.split("=", 2);
  if (values === undefined || !/^--allow-(read|write)$/.test(name!)) return flag;
  const paths = values.split(",").map((path) => /^[/$]/.test(path) ? path : `${library}/${path}`);
  return `${name}=${paths.join(",")}`;
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
