/**
 * TLS to an NBD server: the option STARTTLS, then a server that proves its name by a certificate (doc/proto.md, "TLS
 * support"; mode FORCEDTLS: with `nbds` nothing but STARTTLS is said in the clear).
 *
 * Certificates are read for each connection: one that is renewed counts from the next connection on.
 *
 * @module
 */
import {
  BackendError,
  LinkError,
  secureClient,
  type TlsServerOptions,
  type Transport,
} from "../../../protocol/mod.ts";
import type { ByteReader } from "./byte_reader.ts";
import { optionReply, sendOption } from "./handshake.ts";
import { OPT, REP } from "./protocol.ts";
import type { NbdTls } from "./uri.ts";

/**
 * The connection from here on; it owns `transport`, of which `reader` has read all that came.
 *
 * @throws {BackendError} if the server does not want to, or our certificates cannot be read
 * @throws {LinkError} if the handshake fails, or the server is not the one it should be
 */
export async function startTls(
  transport: Transport,
  reader: ByteReader,
  tls: NbdTls,
): Promise<Transport> {
  const shown = await certificates(tls.certificates);
  await sendOption(transport, OPT.STARTTLS, new Uint8Array());
  const { type, length } = await optionReply(reader, OPT.STARTTLS);
  const text = await reader.text(length);
  if (type >= REP.ERROR) {
    throw new BackendError(
      `the server does not speak TLS here${text === "" ? "" : ` ("${text}")`}; nbd instead of ` +
        `nbds in the URI does without`,
    );
  }
  if (type !== REP.ACK || length !== 0) {
    throw new LinkError(`the server's handshake is malformed: reply ${type} to STARTTLS`);
  }
  // What came with the reply was sent in the clear, perhaps by somebody in between, and must not pass for the server's.
  if (reader.available > 0) {
    throw new LinkError("the server's handshake is malformed: more behind the reply to STARTTLS");
  }
  try {
    return await secureClient(transport, { name: tls.name, ...shown });
  } catch (cause) {
    const advice = tls.certificates === undefined
      ? "tls-certificates=DIR in the URI says who may sign for it, and tls-hostname=NAME who it is"
      : `wanted "${tls.name}", signed by ${tls.certificates}/ca-cert.pem`;
    throw new LinkError(`${(cause as Error).message}; ${advice}`, { cause });
  }
}

/** Of a connection lost in its first steps after TLS: with TLS 1.3 a client hears of its certificate no earlier. */
export function lostAfterTls(error: unknown): unknown {
  if (!(error instanceof LinkError)) return error;
  const text =
    `${error.message}; a server that wants a client certificate it knows ends it like this`;
  return new LinkError(text, { cause: error });
}

/** Deno's authorities where there is no folder. */
async function certificates(
  folder: string | undefined,
): Promise<Pick<TlsServerOptions, "authorities" | "client">> {
  if (folder === undefined) return {};
  const authorities = await pem(`${folder}/ca-cert.pem`);
  if (authorities === undefined) throw new BackendError(`there is no ${folder}/ca-cert.pem`);
  const certificate = await pem(`${folder}/client-cert.pem`);
  if (certificate === undefined) return { authorities };
  const key = await pem(`${folder}/client-key.pem`);
  if (key === undefined) {
    throw new BackendError(`there is a client-cert.pem in ${folder} and no client-key.pem`);
  }
  return { authorities, client: { certificate, key } };
}

/** Undefined if there is no such file. */
async function pem(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    throw new BackendError(`${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
