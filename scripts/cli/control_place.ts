/**
 * Where a host's control API is: the rule that host and ctl share.
 *
 * By default it is a UNIX socket in a folder that is this user's alone:
 *
 *     /run/knightsbridge/host.sock              for root
 *     $XDG_RUNTIME_DIR/knightsbridge/host.sock  where there is such a folder
 *     $TMPDIR/knightsbridge-UID/host.sock       elsewhere
 *
 * Over TCP a request brings a token, which lies in the user's configuration folder.
 *
 * @module
 */
import { CommandError, EXIT } from "./errors.ts";

/** For help texts. */
export const CONTROL_FORM = "PATH|tcp:ADDR:PORT";

export type ControlPlace =
  | { readonly transport: "unix"; readonly path: string }
  | { readonly transport: "tcp"; readonly hostname: string; readonly port: number };

/** What `--control` says; the default socket if it says nothing. @throws {CommandError} */
export function parseControl(text: string | undefined): ControlPlace {
  if (text === undefined) return { transport: "unix", path: defaultControlPath() };
  const match = /^tcp:(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  if (match && Number(match[3]) <= 65535) {
    return { transport: "tcp", hostname: (match[1] ?? match[2])!, port: Number(match[3]) };
  }
  if (!text.startsWith("tcp:")) return { transport: "unix", path: text };
  throw new CommandError(
    EXIT.usage,
    `Cannot use --control ${text}: wanted a path or tcp:ADDR:PORT, such as tcp:127.0.0.1:4311`,
  );
}

export function defaultControlPath(): string {
  return `${defaultControlFolder()}/host.sock`;
}

function defaultControlFolder(): string {
  if (Deno.uid() === 0) return "/run/knightsbridge";
  const runtime = Deno.env.get("XDG_RUNTIME_DIR");
  if (runtime) return `${runtime}/knightsbridge`;
  return `${Deno.env.get("TMPDIR") || "/tmp"}/knightsbridge-${Deno.uid()}`;
}

/** Makes the folder of the default socket, for this user alone. @throws {CommandError} if it is another's */
export async function makeControlFolder(): Promise<void> {
  const folder = defaultControlFolder();
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const { uid, mode, isDirectory } = await Deno.lstat(folder);
    if (isDirectory && uid === Deno.uid() && !((mode ?? 0) & 0o022)) return;
  } catch (cause) {
    const text = `Cannot make ${folder}: ${(cause as Error).message}`;
    throw new CommandError(EXIT.resource, text, { cause });
  }
  throw new CommandError(
    EXIT.resource,
    `Cannot use ${folder}: others may change it; remove it, or use another --control PATH`,
  );
}
