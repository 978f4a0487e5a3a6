// The list of README.md is true: every test that it names is there.
import { assert, assertEquals } from "@std/assert";

const HERE = new URL("./", import.meta.url);
const TESTS = new URL("../", HERE);
/** - `file`, "name of the test": what it measures. */
const ENTRY = /^- `([^`]+)`, "([^"]+)": \S/gm;

/** Every string of a file and of those of our own that it imports, with … for what a template puts in. */
async function stringsOf(file: URL): Promise<Set<string>> {
  const source = await Deno.readTextFile(file);
  const imported = [...source.matchAll(/from "(\.[^"]+)"/g)].map(([, path]) => path!);
  const sources = [source];
  for (const path of imported) sources.push(await Deno.readTextFile(new URL(path, file)));
  const literals = sources.flatMap((text) => text.match(/`[^`]*`|"[^"\n]*"/g) ?? []);
  return new Set(literals.map((text) => text.slice(1, -1).replaceAll(/\$\{[^}]*\}/g, "…")));
}

const readme = await Deno.readTextFile(new URL("README.md", HERE));
const [, ...sections] = readme.split(/^## /m);

for (const section of sections) {
  const title = section.slice(0, section.indexOf("\n"));
  Deno.test(`README.md: "${title}" has tests, and they exist`, async () => {
    const text = section.replaceAll(/\n {2}/g, " ");
    const entries = [...text.matchAll(ENTRY)];
    assertEquals(entries.length, text.match(/^- /gm)?.length, "an entry is not of the right form");
    for (const [, path, name] of entries) {
      const file = new URL(path!, path!.includes("/") ? TESTS : HERE);
      assert((await stringsOf(file)).has(name!), `Cannot find test in ${path}: ${name}`);
    }
  });
}
