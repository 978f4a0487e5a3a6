/**
 * Files that decide who this machine is and whom it trusts: read only if nobody else could have written them (or, if
 * they are secret, read them), and written whole or not at all.
 *
 * A file's owner and mode, and those of the folder it lies in, are what counts. Folders further up need no look: who
 * may rename them can put another folder in this one's place, but not one that belongs to this user. A symbolic link is
 * followed, and what it leads to is looked at in the same way.
 *
 * @module
 */
import { type FileHandle, open } from "node:fs/promises";
import { CommandError, EXIT } from "./errors.ts";

/** What others must not have done to a file, by the bits of its mode that would let them. */
const FORBIDDEN = { "read by others": 0o077, "changed by others": 0o022 } as const;

/**
 * Text of the file at `path`; undefined if there is none. `remedy` is what to do after it was removed.
 * @throws {CommandError} naming owner or mode and what to do, if it may have been `what`
 */
export async function readPrivate(
  path: string,
  what: keyof typeof FORBIDDEN,
  remedy = "pair anew",
): Promise<string | undefined> {
  await using file = await opened(path);
  if (file === undefined) return undefined;
  const folder = path.slice(0, path.lastIndexOf("/"));
  check(folder, await Deno.stat(folder), "changed by others", remedy);
  // Of what was opened, not of what has the name by now.
  check(path, await file.stat(), what, remedy);
  return await file.readFile("utf8");
}

/** Writes `text`, for this user alone, beside `path`; returns where. On the disk when this resolves. */
export async function writeDraft(path: string, text: string): Promise<string> {
  const draft = `${path}.${crypto.randomUUID()}`;
  using file = await Deno.open(draft, { write: true, createNew: true, mode: 0o600 });
  try {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
    return draft;
  } catch (error) {
    await Deno.remove(draft).catch(() => {});
    throw error;
  }
}

/** Waits until nobody else has `folder` locked, and holds it until disposed. It goes with its process, too. */
export async function lockFolder(folder: string): Promise<Disposable> {
  const handle = await Deno.open(folder);
  try {
    await handle.lock(true);
    return handle;
  } catch (error) {
    handle.close();
    throw error;
  }
}

/** Node's, since stat() of Deno's wants a permission for where the path's symbolic links lead, and no task has that. */
async function opened(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** @throws {CommandError} */
function check(
  path: string,
  { mode, uid }: Pick<Deno.FileInfo, "mode" | "uid">,
  what: keyof typeof FORBIDDEN,
  remedy: string,
): void {
  const user = Deno.uid();
  // Root could have it otherwise, so what is root's is as good as ours.
  if (uid !== null && uid !== user && uid !== 0) {
    throw new CommandError(
      EXIT.resource,
      `Cannot use ${path}: it belongs to user ${uid}, and this is user ${user}; run as that user, ` +
        "or set XDG_CONFIG_HOME to a folder of your own",
    );
  }
  if (mode !== null && mode & FORBIDDEN[what]) {
    const bits = mode & 0o777;
    const wanted = bits & ~FORBIDDEN[what];
    throw new CommandError(
      EXIT.resource,
      `Cannot use ${path}: it may have been ${what} (mode ${bits.toString(8)}); if it was not, ` +
        `"chmod ${wanted.toString(8)} ${path}", else remove it and ${remedy}`,
    );
  }
}
