/**
 * Where an NBD export is: `nbd://HOST[:PORT]/EXPORT` or `nbd+unix:///EXPORT?socket=PATH` (the NBD URI specification).
 *
 * Parts are percent-encoded; an export name may have slashes, and may be empty: the server's default export.
 *
 * @module
 */

/** What {@linkcode parseNbdUri} makes of the text. */
export type NbdAddress =
  & { readonly uri: string; readonly exportName: string }
  & (
    | { readonly transport: "tcp"; readonly hostname: string; readonly port: number }
    | { readonly transport: "unix"; readonly path: string }
  );

/** For help texts. */
export const NBD_CHOICES = "nbd://HOST[:PORT]/EXPORT, nbd+unix:///EXPORT?socket=PATH";

const DEFAULT_PORT = 10809;
/** Bytes of UTF-8, by the protocol. */
const MAX_EXPORT_NAME = 4096;

/** Is `text` meant as an NBD URI, right or wrong? */
export function isNbdUri(text: string): boolean {
  return /^nbds?(\+[a-z]+)?:/.test(text);
}

/** Opens nothing. @throws {RangeError} naming the text and what was wanted */
export function parseNbdUri(text: string): NbdAddress {
  try {
    return parse(text);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new RangeError(`Cannot use disk "${text}": ${reason}`, { cause });
  }
}

function parse(uri: string): NbdAddress {
  const scheme = uri.slice(0, uri.indexOf(":"));
  if (scheme.startsWith("nbds")) throw new RangeError("NBD over TLS is not supported");
  if ((scheme !== "nbd" && scheme !== "nbd+unix") || !URL.canParse(uri)) {
    throw new RangeError(`wanted ${NBD_CHOICES}`);
  }
  if (!uri.startsWith(`${scheme}://`)) throw new RangeError(`wanted ${NBD_CHOICES}`);
  const { username, password, hostname, port, pathname, search, hash } = new URL(uri);
  if (username !== "" || password !== "") throw new RangeError("users are known to TLS only");
  if (hash !== "") throw new RangeError('"#" is to be written as %23');
  const exportName = decoded(pathname.replace(/^\//, ""));
  if (new TextEncoder().encode(exportName).length > MAX_EXPORT_NAME) {
    throw new RangeError(`the export's name is longer than ${MAX_EXPORT_NAME} bytes`);
  }
  const socket = socketOf(search);
  if (scheme === "nbd") {
    if (socket !== undefined) throw new RangeError("a socket wants nbd+unix");
    // A host of IPv6 is in brackets in a URI, and in nothing else.
    const host = decoded(hostname).replace(/^\[(.*)\]$/, "$1") || "localhost";
    const number = port === "" ? DEFAULT_PORT : Number(port);
    return { uri, exportName, transport: "tcp", hostname: host, port: number };
  }
  if (hostname !== "" || port !== "") throw new RangeError("nbd+unix has no host: three slashes");
  if (!socket) throw new RangeError("wanted ?socket=PATH");
  return { uri, exportName, transport: "unix", path: socket };
}

/** By hand, because URLSearchParams reads a plus sign as a space. */
function socketOf(search: string): string | undefined {
  let socket: string | undefined;
  for (const part of search.slice(1).split("&")) {
    if (part === "") continue;
    const [, name, value] = /^([^=]*)=?(.*)$/s.exec(part)!;
    if (name !== "socket") throw new RangeError(`"${name}" is no parameter of it, only socket is`);
    socket = decoded(value!);
  }
  return socket;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new RangeError(`"${part}" is not percent-encoded UTF-8`, { cause });
  }
}
