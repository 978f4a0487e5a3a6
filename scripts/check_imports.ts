/**
 * The walls of the house: `host/` and `card/` are two machines and never import each other; from another room only its
 * door (`mod.ts`) is imported; `protocol/` imports nothing above it. Fails with every crossing it finds.
 *
 * @module
 */
const ROOT = new URL("../", import.meta.url).href;

/** Room to the doors it may use. The command lines (`main.ts`) may use the shared command line code too. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  host: ["protocol/mod.ts"],
  card: ["protocol/mod.ts"],
};
const COMMAND_LINE_DOOR = "scripts/cli/mod.ts";

interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier?: string };
    readonly type?: { readonly specifier?: string };
  }[];
}

async function modulesOf(entry: string): Promise<readonly Module[]> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entry],
    cwd: new URL(ROOT),
    stderr: "inherit",
  }).output();
  if (!output.success) throw new Error(`Cannot read the imports of ${entry}`);
  return JSON.parse(new TextDecoder().decode(output.stdout)).modules;
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(new URL(folder, ROOT))) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory) yield* sources(`${path}/`);
    else if (entry.name.endsWith(".ts")) yield path;
  }
}

const crossings = new Set<string>();
const seen = new Set<string>();
for (const room of Object.keys(DOORS)) {
  for await (const path of sources(`${room}/`)) {
    if (seen.has(path)) continue;
    for (const module of await modulesOf(path)) {
      if (!module.specifier.startsWith(ROOT)) continue;
      const from = module.specifier.slice(ROOT.length);
      if (seen.has(from)) continue;
      seen.add(from);
      const here = from.split("/")[0]!;
      const doors = DOORS[here];
      if (doors === undefined) continue;
      for (const dependency of module.dependencies ?? []) {
        const target = dependency.code?.specifier ?? dependency.type?.specifier ?? "";
        if (!target.startsWith(ROOT)) continue;
        const to = target.slice(ROOT.length);
        const inside = to.startsWith(`${here}/`);
        const commandLine = from.endsWith("/main.ts") && to === COMMAND_LINE_DOOR;
        if (!inside && !doors.includes(to) && !commandLine) crossings.add(`${from} imports ${to}`);
      }
    }
  }
}
for (const crossing of crossings) console.error(`Import wall crossed: ${crossing}`);
if (crossings.size > 0) Deno.exit(1);
console.log(`import walls: ${seen.size} files, none crossed`);
