/**
 * Installs and removes the programs, their units, the sleep hook and the shells' completions.
 *
 * The library, sources and packages, is made beside its place and put there whole. A program is a script that runs it
 * from the library; for a user it is the executable that `deno task compile` made of it, if there is one in dist/. In
 * one of those are the folders of who made it, and services of a machine have others.
 *
 * @module
 */
import { CommandError, EXIT } from "../cli/mod.ts";
import { SCRIPTS } from "../ctl/completion.ts";
import { VERBS } from "../ctl/verbs/mod.ts";
import {
  type Installed,
  type Item,
  missingFolders,
  parent,
  place,
  readRecord,
  RECORD,
  removeIfThere,
  removeInstalled,
} from "./installed.ts";
import type { Places } from "./places.ts";
import { launcher, PROGRAMS } from "./programs.ts";
import { CHECKOUT, modulesOf } from "./tree.ts";

const FILES = `${CHECKOUT}scripts/service/files`;
const DIST = `${CHECKOUT}dist`;

/** The units of an installation. */
export const UNITS = [
  "knightsbridge-host.service",
  "knightsbridge-card@.service",
  "knightsbridge-sleep.service",
] as const;

/** Installs at `places`, over what was installed there before. */
export async function install(places: Places): Promise<Installed> {
  const { library } = places;
  const before = await readRecord(library);
  const items = await plan(places);
  const paths = items.map(({ path }) => path);
  const { version } = JSON.parse(await Deno.readTextFile(`${CHECKOUT}deno.json`));
  const made = await missingFolders([...paths, library]);
  const installed: Installed = {
    version,
    user: places.user,
    files: paths,
    folders: [...new Set([...before?.folders ?? [], ...made])].toSorted(),
  };
  await putLibrary(library, {
    ...installed,
    // Until those of before are gone, they are ours as well.
    files: [...new Set([...paths, ...before?.files ?? []])],
  });
  for (const item of items) await place(item);
  for (const path of before?.files ?? []) if (!paths.includes(path)) await removeIfThere(path);
  await place({ path: `${library}/${RECORD}`, content: recordText(installed) });
  return installed;
}

/** Takes away what {@linkcode install} put at `places`; false if there is nothing. */
export async function remove({ library }: Places): Promise<boolean> {
  const record = await readRecord(library);
  if (record !== undefined) await removeInstalled(record, library);
  return record !== undefined;
}

/** Every file outside of the library. */
async function plan(places: Places): Promise<Item[]> {
  const { bin, library, units, user, sleep, logind } = places;
  const items: Item[] = [];
  const deno = Deno.execPath();
  for (const program of PROGRAMS) {
    const compiled = `${DIST}/${program.name}`;
    const content = user && await isFile(compiled)
      ? { copyOf: compiled }
      : await launcher(program, { deno, library });
    items.push({ path: `${bin}/${program.name}`, content, mode: 0o755 });
  }
  const filled = async (file: string) =>
    (await Deno.readTextFile(`${FILES}/${file}`))
      .replaceAll("@bin@", bin).replaceAll("@library@", library);
  for (const unit of UNITS) {
    const content = await filled(`${user ? "user" : "system"}/${unit}`);
    items.push({ path: `${units}/${unit}`, content });
  }
  const completions = {
    bash: `${places.bash}/knightsbridge`,
    zsh: `${places.zsh}/_knightsbridge`,
    fish: `${places.fish}/knightsbridge.fish`,
  };
  for (const [shell, path] of Object.entries(completions)) {
    items.push({ path, content: SCRIPTS[shell]!(VERBS) });
  }
  if (sleep !== undefined) {
    const content = await filled("system-sleep");
    items.push({ path: `${sleep}/knightsbridge`, content, mode: 0o755 });
  }
  if (logind !== undefined) {
    items.push({ path: `${logind}/knightsbridge.conf`, content: await filled("logind.conf") });
  }
  return items;
}

/** Makes the library beside its place, and puts it there. */
async function putLibrary(library: string, record: Installed): Promise<void> {
  const [draft, old] = [`${library}.new`, `${library}.old`];
  for (const left of [draft, old]) await removeIfThere(left, { recursive: true });
  await place({ path: `${draft}/${RECORD}`, content: recordText(record) });
  for (const path of await modulesOf(PROGRAMS)) {
    await place({ path: `${draft}/${path}`, content: { copyOf: `${CHECKOUT}${path}` } });
  }
  const watch = { copyOf: `${FILES}/sleep-watch` };
  await place({ path: `${draft}/service/sleep-watch`, content: watch, mode: 0o755 });
  // With its symbolic links.
  const copied = await new Deno.Command("cp", {
    args: ["-R", "-P", `${CHECKOUT}node_modules`, `${draft}/node_modules`],
  }).output();
  if (!copied.success) {
    const text = new TextDecoder().decode(copied.stderr).trim();
    throw new CommandError(EXIT.resource, `Cannot copy the packages: ${text}; try deno install`);
  }
  if (await isFolder(library)) await Deno.rename(library, old);
  await Deno.mkdir(parent(library), { recursive: true });
  await Deno.rename(draft, library);
  await removeIfThere(old, { recursive: true });
}

const recordText = (record: Installed): string => `${JSON.stringify(record, undefined, 2)}\n`;

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, notThere);
}

async function isFolder(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isDirectory, notThere);
}

function notThere(error: unknown): false {
  if (error instanceof Deno.errors.NotFound) return false;
  throw error;
}
