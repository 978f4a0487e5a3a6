/**
 * Listening on a UNIX socket path: the socket is its owner's alone, and one left over by a host that was killed is
 * replaced, but never one that still answers.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";

/**
 * What `listen`, which must bind at once, returns for `path`. Whoever closes that removes the path.
 * @param act what the error says could not be done: `Cannot listen for a console on /run/console`
 * @throws {BackendError} when the path may not be used; with AddrInUse as its cause, when it is taken
 */
export async function onUnixSocket<T>(
  path: string,
  act: string,
  listen: (path: string) => T,
): Promise<T> {
  try {
    const listening = await replacing(path, listen);
    Deno.chmodSync(path, 0o600);
    return listening;
  } catch (cause) {
    if (cause instanceof Deno.errors.AddrInUse) {
      throw new BackendError(`${act}: another process listens there, or it is no socket`, {
        cause,
      });
    }
    const reason = cause instanceof Error ? cause.message : cause;
    throw new BackendError(`${act}: ${reason}`, { cause });
  }
}

async function replacing<T>(path: string, listen: (path: string) => T): Promise<T> {
  try {
    return listen(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    // Of two that find the same leftover, the second must not remove what the first put there.
    using folder = await Deno.open(path.slice(0, path.lastIndexOf("/") + 1) || ".");
    await folder.lock(true);
    if (!await isAbandoned(path)) throw error;
    Deno.removeSync(path);
    return listen(path);
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  if (!Deno.lstatSync(path).isSocket) return false;
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused;
  }
}
