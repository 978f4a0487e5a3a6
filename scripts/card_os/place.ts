/**
 * A folder that was built beside its place is put there whole, also when somebody else does the same at that moment.
 *
 * @module
 */

/** Puts `from` in the place of `to`; what was there goes beside `from`, and is the caller's. */
export async function replaceFolder(from: string, to: string): Promise<void> {
  for (let number = 1;; number++) {
    await Deno.rename(to, `${from}.old${number}`).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    try {
      return await Deno.rename(from, to);
    } catch (error) {
      // Another builder was faster: its folder is as good, but ours may be the one that was asked for.
      if (!isTaken(error) || number === 10) throw error;
    }
  }
}

/** Puts `from` at `to` unless something is there already; `from` then stays. */
export async function placeFolder(from: string, to: string): Promise<void> {
  try {
    await Deno.rename(from, to);
  } catch (error) {
    if (!isTaken(error)) throw error;
  }
}

/** rename(2) puts no folder over one that has something in it. */
function isTaken(error: unknown): boolean {
  return error instanceof Error && (error as { code?: string }).code === "ENOTEMPTY";
}
