// Programs as scripts and as executables, and what an installation writes down.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { missingFolders, readRecord, removeInstalled } from "../../scripts/service/installed.ts";
import { placesIn } from "../../scripts/service/places.ts";
import { launcher, PROGRAMS } from "../../scripts/service/programs.ts";
import { modulesOf } from "../../scripts/service/tree.ts";
import { temporaryFolder } from "../support/lab.ts";

const CARD = PROGRAMS.find(({ task }) => task === "card")!;
const ROOT = new URL("../../", import.meta.url).pathname;

Deno.test("launcher() gives a program its task's permissions and no more, with the library's paths", async () => {
  const text = await launcher(CARD, { deno: "/opt/deno's/deno", library: "/opt/kb" });
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const flags = (tasks.card as string).split(" ").filter((word) => word.startsWith("--"));
  assertEquals(
    [...text.matchAll(/^ {2}"(.+)" \\$/gm)].map(([, flag]) => flag),
    flags.map((flag) => flag.replace("=node_modules,", "=/opt/kb/node_modules,")),
  );
  assertStringIncludes(text, `exec '/opt/deno'\\''s/deno' run --quiet --cached-only --frozen \\\n`);
  assert(text.endsWith(`  '/opt/kb/card/main.ts' "$@"\n`), text);
});

Deno.test("modulesOf() names what a program imports, and nothing of the other side", async () => {
  const files = await modulesOf([CARD]);
  for (const file of ["card/main.ts", "card/machine/v86/machine.ts", "protocol/mod.ts"]) {
    assert(files.includes(file), `${file} is missing`);
  }
  const others = files.filter((file) => /^(host|tests|node_modules)\//.test(file));
  assertEquals(others, []);
});

Deno.test("removeInstalled() leaves what somebody else put into our folders", async () => {
  await using folder = await temporaryFolder();
  const [ours, theirs] = [`${folder.path}/a/b/ours`, `${folder.path}/a/theirs`];
  const folders = await missingFolders([ours]);
  assertEquals(folders, [`${folder.path}/a`, `${folder.path}/a/b`]);
  await Deno.mkdir(`${folder.path}/a/b`, { recursive: true });
  for (const path of [ours, theirs]) await Deno.writeTextFile(path, "");
  const record = { version: "1", user: true, files: [ours, `${folder.path}/gone`], folders };
  await removeInstalled(record, `${folder.path}/library`);
  const left = await Array.fromAsync(Deno.readDir(`${folder.path}/a`), ({ name }) => name);
  assertEquals(left, ["theirs"]);
});

Deno.test("placesIn() puts the sleep hook where systemd looks", () => {
  assertEquals(placesIn("/usr/local", false).sleep, "/usr/lib/systemd/system-sleep");
  assertEquals(placesIn("/usr", false).sleep, "/usr/lib/systemd/system-sleep");
  assertEquals(placesIn("/home/ada/.local", true).sleep, undefined);
});

Deno.test("readRecord() finds nothing where nothing is installed", async () => {
  await using folder = await temporaryFolder();
  assertEquals(await readRecord(folder.path), undefined);
});
