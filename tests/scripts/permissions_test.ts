// What a task may do is decided in deno.json and said in the README, and the two must not drift apart.
import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../../", import.meta.url);
const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));

/** Every flag of every `deno run` and `deno test` in deno.json, by task. */
const flags: { readonly task: string; readonly flag: string }[] = [];
for (const [task, command] of Object.entries<string>(tasks)) {
  for (const words of command.split(/&&|\|\||[;|&]/).map((part) => part.trim().split(/\s+/))) {
    if (words[0] !== "deno" || !["run", "test", "bench", "serve"].includes(words[1]!)) continue;
    for (const flag of words.slice(2).filter((word) => word.startsWith("-"))) {
      flags.push({ task, flag });
    }
  }
}

/** Rows of the table under "Permissions": tasks, permission, reason. */
const readme = await Deno.readTextFile(new URL("README.md", ROOT));
const section = /^## Permissions\n([^]*?)^## /m.exec(readme)![1]!;
const rows = section.matchAll(/^\| (`.+?) +\| `(\S+)` +\| (.+?) +\|$/gm)
  .map(([, tasks, permission, reason]) => ({
    tasks: tasks!.matchAll(/`([^`]+)`/g).map(([, name]) => name!).toArray(),
    permission: permission!,
    reason: reason!,
  })).toArray();

Deno.test("the README's table of permissions is what deno.json gives, with a reason for each", () => {
  const given = flags.filter(({ flag }) => flag.startsWith("--allow-"))
    .map(({ task, flag }) => `${task}: ${flag.slice("--allow-".length)}`);
  const said = rows.flatMap(({ tasks, permission }) =>
    tasks.map((task) => `${task}: ${permission}`)
  );
  assertEquals(said.toSorted(), [...new Set(given)].toSorted());
  for (const { permission, reason } of rows) assert(reason.length > 10, `${permission}: ${reason}`);
});

Deno.test("no task has all permissions, in any of the ways to say so", () => {
  const known = ["net", "read", "write", "env", "ffi", "sys", "run"];
  for (const { task, flag } of flags) {
    if (["--quiet", "--parallel"].includes(flag)) continue;
    const [, name] = /^--allow-([a-z]+)(=|$)/.exec(flag) ?? [];
    assert(name !== undefined && known.includes(name), `${task} has ${flag}`);
  }
  // Nothing is granted where no flag is seen: by a task of another form, or by deno.json itself.
  for (const [task, command] of Object.entries(tasks)) {
    assert(typeof command === "string", `task ${task} is no command`);
    assert(!/(^|\s)(npx|node|sh|bash)\s/.test(command), `task ${task} runs more than deno`);
  }
});
