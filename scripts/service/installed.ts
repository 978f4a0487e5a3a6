/**
 * What an installation put where: written down before anything is put there, so that `remove` takes that away and
 * nothing else, even after an installation that was interrupted.
 *
 * @module
 */
import { CommandError, EXIT } from "../cli/mod.ts";

export interface Installed {
  readonly version: string;
  readonly user: boolean;
  /** Outside of the library, which is removed whole. */
  readonly files: readonly string[];
  /** That were not there before, each behind the one it is in. */
  readonly folders: readonly string[];
}

/** A file to be put at `path`: a text, or a copy. */
export interface Item {
  readonly path: string;
  readonly content: string | { readonly copyOf: string };
  /** 0o644 if absent. */
  readonly mode?: number;
}

export const RECORD = "installed.json";

/** The record in `library`; undefined if nothing is installed there. @throws {CommandError} */
export async function readRecord(library: string): Promise<Installed | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(`${library}/${RECORD}`)) as Installed;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new CommandError(
      EXIT.resource,
      `Cannot read ${library}/${RECORD}: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** Puts `item` in place, whole or not at all, in a folder that is made if need be. */
export async function place({ path, content, mode = 0o644 }: Item): Promise<void> {
  await Deno.mkdir(parent(path), { recursive: true, mode: 0o755 });
  const draft = `${path}.new`;
  if (typeof content === "string") await Deno.writeTextFile(draft, content);
  else await Deno.copyFile(content.copyOf, draft);
  await Deno.chmod(draft, mode);
  await Deno.rename(draft, path);
}

/** The folders that have to be made for files at `paths`, each behind the one it is in. */
export async function missingFolders(paths: readonly string[]): Promise<string[]> {
  const missing = new Set<string>();
  for (const path of paths) {
    for (let at = parent(path); at !== "" && !(await exists(at)); at = parent(at)) missing.add(at);
  }
  return [...missing].toSorted();
}

/** Removes what `record` names; of its folders those that nothing else is in. */
export async function removeInstalled(record: Installed, library: string): Promise<void> {
  for (const path of record.files) await removeIfThere(path);
  // The record goes last but for folders: what is left by an interruption is removed the next time.
  await removeIfThere(library, { recursive: true });
  for (const folder of record.folders.toReversed()) {
    try {
      await Deno.remove(folder);
    } catch {
      // Somebody else's things are in it, or it is gone.
    }
  }
}

export async function removeIfThere(path: string, options?: Deno.RemoveOptions): Promise<void> {
  try {
    await Deno.remove(path, options);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Without the last name; empty for what has none. */
export const parent = (path: string): string => path.slice(0, path.lastIndexOf("/"));

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
