// What every ctl command loads before it does anything: little, as it is to answer at once.
import { assert, assertEquals } from "@std/assert";

interface Dependency {
  readonly code?: { readonly specifier?: string };
  readonly isDynamic?: boolean;
}
interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly Dependency[];
}

const ROOT = new URL("../../", import.meta.url);

/** Modules that are loaded before `entry` runs, packages by their names: types and `import()` are not followed. */
async function loaded(entry: string): Promise<readonly string[]> {
  const { stdout } = await new Deno.Command("deno", {
    args: ["info", "--json", entry],
    cwd: ROOT.pathname,
    stderr: "null",
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: Module[] };
  const known = new Map(modules.map((module) => [module.specifier, module]));
  const found = new Set([new URL(entry, ROOT).href]);
  for (const specifier of found) {
    for (const { code, isDynamic } of known.get(specifier)?.dependencies ?? []) {
      if (code?.specifier !== undefined && !isDynamic) found.add(code.specifier);
    }
  }
  return [...found].map((specifier) => specifier.replace(ROOT.href, ""));
}

Deno.test("ctl loads its verbs and what they share: nothing of the protocol, and no package but the standard library", async () => {
  const all = await loaded("scripts/ctl/main.ts");
  assert(all.includes("scripts/ctl/verbs/config.ts"), "that all is seen");
  const strangers = all.filter((name) => !/^scripts\/(ctl|cli)\/|^npm:\/?deno-std@/.test(name));
  // The console's viewer has the backlog of the host's own terminals.
  assertEquals(strangers, ["host/backends/output_backlog.ts"]);
  assert(all.length < 50, `${all.length} modules`);
});
