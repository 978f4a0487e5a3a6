/**
 * `deno task compile`: the programs as executables of their own, which need neither Deno nor this checkout.
 *
 * Permissions are baked in: those of the task, with this user's folders, since an executable knows no other. The
 * emulator's WebAssembly goes in with the packages. Each result is run once, from another folder: a file that was
 * written is not yet a program (a base executable of the wrong kind ends in one that starts `deno` itself).
 *
 * @module
 */
import { CommandError, EXIT, parseOptions, runMain, tell } from "../cli/mod.ts";
import { taskArguments } from "../cli/tasks.ts";
import { type Program, PROGRAMS } from "./programs.ts";

const COMMAND = {
  name: "deno task compile",
  about: "makes executables of host, card and their tools in dist/.\n\n" +
    "Deno downloads the base executable (denort) of its own version from its maker and keeps it; where that\n" +
    "cannot be reached, DENORT_BIN in the environment names one. This user's folders are baked in as permissions.",
  options: {},
} as const;

const ROOT = new URL("../../", import.meta.url).pathname;
const OUTPUT = `${ROOT}dist`;

/** Compiles `program` to `path`. @throws {CommandError} it cannot be, or what came out does not run */
export async function compile({ name, task }: Program, path: string): Promise<void> {
  const words = (await taskArguments(task)).slice(1);
  const flags = words.slice(0, -1)
    // The packages are inside, and an executable may read what is inside of it.
    .map((flag) => flag.replace("--allow-read=node_modules,", "--allow-read="));
  const args = ["compile", "--quiet", "--no-check", "--frozen", ...flags];
  const made = await new Deno.Command("deno", {
    args: [...args, "--output", path, words.at(-1)!],
    cwd: ROOT,
    stdin: "null",
  }).output();
  if (!made.success) {
    throw new CommandError(EXIT.resource, `Cannot compile ${name}: ${reason(made.stderr)}`);
  }
  const run = await new Deno.Command(path, { args: ["--help"], cwd: "/", stdin: "null" }).output();
  const help = new TextDecoder().decode(run.stdout);
  if (run.success && new RegExp(`^(deno task )?${task}: `).test(help)) return;
  await Deno.remove(path);
  throw new CommandError(
    EXIT.resource,
    `Cannot compile ${name}: what came out does not run as it; DENORT_BIN must name the denort of Deno ${Deno.version.deno}`,
  );
}

/** The sentence of Deno's error that says why: the first cause, or what it says at all. */
function reason(stderr: Uint8Array): string {
  // deno-lint-ignore no-control-regex -- colours are made of these
  const text = new TextDecoder().decode(stderr).replaceAll(/\x1b\[[0-9;]*m/g, "");
  const lines = text.split("\n").map((line) => line.trim());
  const cause = lines.find((line) => /error sending request|No such file|denied/.test(line)) ??
    lines.find((line) => line.startsWith("error:")) ?? text.trim();
  return cause.replace(/^(error|\d+):\s*/, "");
}

if (import.meta.main) {
  await runMain("compile", async () => {
    if (!parseOptions(COMMAND, Deno.args)) return EXIT.ok;
    await Deno.mkdir(OUTPUT, { recursive: true });
    for (const program of PROGRAMS) {
      const path = `${OUTPUT}/${program.name}`;
      await compile(program, path);
      const { size } = await Deno.stat(path);
      tell(`compile: ${path}, ${Math.round(size / 2 ** 20)} MiB`);
    }
    return EXIT.ok;
  });
}
