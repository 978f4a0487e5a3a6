// The list of tests/fault/README.md is true: every test that it names is there.
import { assert, assertEquals } from "@std/assert";

const TESTS = new URL("../", import.meta.url);
const FAULT = new URL("fault/", TESTS);
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

/** Rows of the failure table of the architecture. */
const ROWS = [
  "TCP connection lost, any byte",
  "Host process killed and restarted",
  "Card process killed",
  "Backend I/O error",
  "Malformed chain from the card",
  "Malformed frame from a peer",
  "Unknown or unauthenticated peer",
  "Slow reader anywhere",
  "Disk full, image missing, port taken",
];

const readme = await Deno.readTextFile(new URL("README.md", FAULT));
const [, ...sections] = readme.split(/^## /m);

const titleOf = (section: string) => section.slice(0, section.indexOf("\n"));

Deno.test("tests/fault/README.md has a section for each row of the failure table", () => {
  const titles = sections.map(titleOf);
  assertEquals(ROWS.filter((row) => !titles.includes(row)), []);
});

for (const section of sections) {
  const title = titleOf(section);
  Deno.test(`tests/fault/README.md: "${title}" has tests, and they exist`, async () => {
    const text = section.replaceAll(/\n {2}/g, " ");
    const entries = [...text.matchAll(ENTRY)];
    assert(entries.length > 0, "no test");
    assertEquals(entries.length, text.match(/^- /gm)?.length, "an entry is not of the right form");
    for (const [, path, name] of entries) {
      const file = new URL(path!, path!.includes("/") ? TESTS : FAULT);
      assert((await stringsOf(file)).has(name!), `Cannot find test in ${path}: ${name}`);
    }
  });
}
