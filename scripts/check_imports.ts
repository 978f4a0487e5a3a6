/**
 * The walls of the house: `host/` and `card/` are two machines and never import each other; from another room only its
 * door (`mod.ts`) is imported; `protocol/` imports nothing above it. Fails with every crossing it finds.
 *
 * Reads the import statements of formatted source as text: no code is run, and no permission but reading is needed.
 *
 * @module
 */
const ROOT = new URL("../", import.meta.url);

/** Room to the doors it may use. The command lines (`main.ts`, `command/`) may use the shared command line code too. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  host: ["protocol/mod.ts"],
  card: ["protocol/mod.ts"],
};
const COMMAND_LINE_DOOR = "scripts/cli/mod.ts";
const IMPORT = /(?:\bfrom |\bimport\(|^import )"(\.{1,2}\/[^"]+)"/gm;

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(new URL(folder, ROOT))) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory) yield* sources(`${path}/`);
    else if (entry.name.endsWith(".ts")) yield path;
  }
}

let files = 0;
let crossings = 0;
for (const [room, doors] of Object.entries(DOORS)) {
  for await (const from of sources(`${room}/`)) {
    files += 1;
    for (const match of (await Deno.readTextFile(new URL(from, ROOT))).matchAll(IMPORT)) {
      const target = new URL(match[1]!, new URL(from, ROOT)).href;
      const to = target.slice(ROOT.href.length);
      const commandLine = /\/(main\.ts$|command\/)/.test(from) && to === COMMAND_LINE_DOOR;
      if (to.startsWith(`${room}/`) || doors.includes(to) || commandLine) continue;
      console.error(`Import wall crossed: ${from} imports ${to}`);
      crossings += 1;
    }
  }
}
if (crossings > 0) Deno.exit(1);
console.log(`import walls: ${files} files, none crossed`);
