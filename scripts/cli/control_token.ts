/**
 * The token of the control API on TCP: a file of the user's configuration folder that is this user's alone. Whoever has
 * it commands the cards; on another machine it is copied to the same place.
 *
 * @module
 */
import { CommandError, EXIT } from "./errors.ts";
import { configFolder } from "./identity.ts";
import { readPrivate, writeDraft } from "./private_files.ts";

const tokenPath = (folder: string): string => `${folder}/control-token`;

/** The token, made if there is none. @throws {CommandError} */
export async function makeControlToken(folder: string = configFolder()): Promise<string> {
  const known = await controlToken(folder);
  if (known !== undefined) return known;
  const path = tokenPath(folder);
  let draft: string | undefined;
  try {
    const token = crypto.getRandomValues(new Uint8Array(32)).toHex();
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    draft = await writeDraft(path, `${token}\n`);
    // Of two that come first at once, one's token becomes both's.
    await Deno.link(draft, path).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
  } catch (cause) {
    const text = `Cannot make control token ${path}: ${(cause as Error).message}`;
    throw new CommandError(EXIT.resource, text, { cause });
  } finally {
    if (draft !== undefined) await Deno.remove(draft).catch(() => {});
  }
  return (await controlToken(folder))!;
}

/** Undefined if there is none. @throws {CommandError} if others could read it */
export async function controlToken(folder: string = configFolder()): Promise<string | undefined> {
  const remedy = "start the host again";
  return (await readPrivate(tokenPath(folder), "read by others", remedy))?.trim();
}
