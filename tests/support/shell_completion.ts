/**
 * What real shells offer to complete: command lines of `ctl`, with cards mic0 and mic1.
 *
 * @module
 */
import { assert } from "@std/assert";

/** For each line, whose last word is the one at the cursor, what a shell offers, sorted. */
export type Complete = (
  lines: readonly string[],
  options: { readonly script: string; readonly cwd: string },
) => Promise<string[][]>;

const FOLDER = new URL("shell_completion/", import.meta.url).pathname;

/** Is asked for the names of cards by the scripts. */
const CTL = `ctl() { [[ "$*" == "completion cards" ]] && printf 'mic0\\nmic1\\n'; }\n`;

/** Calls the function that bash calls. */
export const bash: Complete = async (lines, { script, cwd }) => {
  const asked = lines.map((line) => {
    const words = line.split(" ").map((word) => `'${word}'`).join(" ");
    return `COMP_WORDS=(${words}); COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); COMPREPLY=()
      _knightsbridge_ctl; printf '%s\\n' "\${COMPREPLY[@]}" end`;
  });
  return offers(await run("bash", ["--norc", "-c", CTL + script + asked.join("\n")], cwd));
};

/** Types each line and Tab in an interactive zsh; its script is sourced, or what `setup` says. */
export const zsh = (setup?: string): Complete => async (lines, { script, cwd }) => {
  const path = await Deno.makeTempFile();
  try {
    const own = await Deno.readTextFile(`${FOLDER}setup.zsh`);
    await Deno.writeTextFile(path, own + CTL + (setup ?? `compinit -D -u\n${script}`));
    return offers(await run("zsh", ["-f", `${FOLDER}drive.zsh`, path, ...lines], cwd));
  } finally {
    await Deno.remove(path);
  }
};

/** Asks fish as its own tests do. */
export const fish: Complete = async (lines, { script, cwd }) => {
  const ctl = `function ctl; test "$argv" = "completion cards"; and printf 'mic0\\nmic1\\n'; end\n`;
  const asked = lines.map((line) => `complete -C '${line}'; echo end\n`);
  const said = await run("fish", ["--no-config", "-c", ctl + script + asked.join("")], cwd);
  // A description is behind a tab.
  return offers(said.replaceAll(/\t.*/g, ""));
};

async function run(shell: string, args: string[], cwd: string): Promise<string> {
  const env = { HOME: cwd };
  const { stdout, stderr, success } = await new Deno.Command(shell, { args, cwd, env }).output();
  const text = new TextDecoder();
  assert(success && stderr.length === 0, `${shell}: ${text.decode(stderr)}`);
  return text.decode(stdout);
}

function offers(said: string): string[][] {
  const all: string[][] = [[]];
  for (const line of said.split("\n").slice(0, -1)) {
    if (line === "end") all.push([]);
    else if (line !== "") all.at(-1)!.push(line);
  }
  return all.slice(0, -1).map((words) => words.toSorted());
}
