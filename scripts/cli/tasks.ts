/**
 * The arguments of a task in `deno.json`, so that a program that starts a host or a card gives it exactly the
 * permissions that the task names, and they are written down once.
 *
 * @module
 */
const CONFIG = new URL("../../deno.json", import.meta.url);
const ROOT = new URL("../../", import.meta.url);

/** What task `name`, a single `deno run ...` command, gives and runs: permissions as written, script by its path in the checkout. */
export async function taskCommand(
  name: string,
): Promise<{ readonly flags: readonly string[]; readonly script: string }> {
  const { tasks } = JSON.parse(await Deno.readTextFile(CONFIG));
  const command: unknown = tasks[name]?.command ?? tasks[name];
  if (typeof command !== "string" || !command.startsWith("deno run ")) {
    throw new RangeError(`Cannot start task "${name}": wanted a "deno run" command in deno.json`);
  }
  const words = command.split(/\s+/).slice(2);
  return { flags: words.slice(0, -1), script: words.at(-1)! };
}

/**
 * `deno` arguments of task `name`, with files made absolute and `$NAME` taken from `env`, or else this process's
 * environment, as `deno task` does.
 */
export async function taskArguments(
  name: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const { flags, script } = await taskCommand(name);
  const filled = flags.map((flag) =>
    flag.replaceAll(/\$(\w+)/g, (_, name) => env[name] ?? Deno.env.get(name) ?? "")
  );
  return ["run", ...filled, new URL(script, ROOT).pathname];
}

/** Starts task `name` with `args` behind its own. The caller ends it. */
export async function spawnTask(
  name: string,
  args: readonly string[],
  options: Omit<Deno.CommandOptions, "args"> = {},
): Promise<Deno.ChildProcess> {
  return new Deno.Command("deno", {
    ...options,
    args: [...await taskArguments(name, options.env), ...args],
    cwd: ROOT,
  }).spawn();
}
