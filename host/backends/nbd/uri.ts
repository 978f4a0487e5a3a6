/**
 * Where an NBD export is: `nbd://HOST[:PORT]/EXPORT` or `nbd+unix:///EXPORT?socket=PATH` (the NBD URI specification), and
 * with TLS `nbds` instead of `nbd`.
 *
 * Parts are percent-encoded; an export name may have slashes, and may be empty: the server's default export.
 *
 * @module
 */

/** What {@linkcode parseNbdUri} makes of the text. */
export type NbdAddress =
  & {
    readonly uri: string;
    readonly exportName: string;
    /** In the clear without. */
    readonly tls?: NbdTls;
  }
  & (
    | { readonly transport: "tcp"; readonly hostname: string; readonly port: number }
    | { readonly transport: "unix"; readonly path: string }
  );

/** How the server proves who it is. */
export interface NbdTls {
  /** Name or address that its certificate must have. */
  readonly name: string;
  /**
   * A folder as libnbd and nbdkit know it: `ca-cert.pem` signs the server's certificate; `client-cert.pem` and
   * `client-key.pem`, if there, are shown to the server. Undefined: the system's authorities.
   */
  readonly certificates: string | undefined;
}

/** For help texts. */
export const NBD_CHOICES = "nbd://HOST[:PORT]/EXPORT, nbd+unix:///EXPORT?socket=PATH " +
  "(with TLS: nbds, ?tls-certificates=DIR)";

const DEFAULT_PORT = 10809;
const SOCKET = "socket";
const TLS_CERTIFICATES = "tls-certificates";
const TLS_NAME = "tls-hostname";
const TLS_PARAMETERS = [TLS_CERTIFICATES, TLS_NAME];
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
  const [, scheme, secure, unix] = /^(nbd(s?)(\+unix)?):\/\//.exec(uri) ?? [];
  if (scheme === undefined || !URL.canParse(uri)) throw new RangeError(`wanted ${NBD_CHOICES}`);
  const { username, password, hostname, port, pathname, search, hash } = new URL(uri);
  if (username !== "" || password !== "") {
    throw new RangeError("users are for TLS with pre-shared keys, which is not supported");
  }
  if (hash !== "") throw new RangeError('"#" is to be written as %23');
  const exportName = decoded(pathname.replace(/^\//, ""));
  if (new TextEncoder().encode(exportName).length > MAX_EXPORT_NAME) {
    throw new RangeError(`the export's name is longer than ${MAX_EXPORT_NAME} bytes`);
  }
  const parameters = parametersOf(search, secure ? [SOCKET, ...TLS_PARAMETERS] : [SOCKET]);
  const path = parameters.get(SOCKET);
  // A host of IPv6 is in brackets in a URI, and in nothing else.
  const host = decoded(hostname).replace(/^\[(.*)\]$/, "$1") || "localhost";
  const certificates = parameters.get(TLS_CERTIFICATES);
  if (certificates === "") throw new RangeError(`wanted ${TLS_CERTIFICATES}=DIR`);
  const name = parameters.get(TLS_NAME) || host;
  const common = { uri, exportName, ...(secure && { tls: { name, certificates } }) };
  if (!unix) {
    if (path !== undefined) throw new RangeError(`a socket wants ${scheme}+unix`);
    const number = port === "" ? DEFAULT_PORT : Number(port);
    return { ...common, transport: "tcp", hostname: host, port: number };
  }
  if (hostname !== "" || port !== "") throw new RangeError(`${scheme} has no host: three slashes`);
  if (!path) throw new RangeError("wanted ?socket=PATH");
  return { ...common, transport: "unix", path };
}

/** By hand, because URLSearchParams reads a plus sign as a space. */
function parametersOf(search: string, known: readonly string[]): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const part of search.slice(1).split("&")) {
    if (part === "") continue;
    const [, name, value] = /^([^=]*)=?(.*)$/s.exec(part)!;
    if (!known.includes(name!)) {
      throw new RangeError(`"${name}" is no parameter of it, wanted ${known.join(", ")}`);
    }
    parameters.set(name!, decoded(value!));
  }
  return parameters;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (cause) {
    throw new RangeError(`"${part}" is not percent-encoded UTF-8`, { cause });
  }
}
