/**
 * Listening on a UNIX socket path: the socket is its owner's alone, and one left over by a host that was killed is
 * replaced, but never one that still answers.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";

/** Closing it removes the path. @throws {BackendError} when the path is taken or may not be used */
export async function unixListener(path: string): Promise<Deno.UnixListener> {
  const act = `Cannot listen for a console on ${path}`;
  try {
    const listener = await listen(path);
    Deno.chmodSync(path, 0o600);
    return listener;
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

async function listen(path: string): Promise<Deno.UnixListener> {
  try {
    return Deno.listen({ transport: "unix", path });
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse) || !await isAbandoned(path)) throw error;
    Deno.removeSync(path);
    return Deno.listen({ transport: "unix", path });
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
