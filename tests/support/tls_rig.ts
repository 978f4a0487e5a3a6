/**
 * TLS connections and listeners on loopback with identities made for the occasion, and what an impostor would use.
 *
 * @module
 */
import {
  dialTls,
  type Identity,
  listenTls,
  makeIdentity,
  type Refusal,
  type TlsListener,
  type TlsTransport,
} from "../../protocol/mod.ts";

export const never = new AbortController().signal;

/** Made once for all tests of a file: whose they are matters, not that they are new. */
export const HOST = await makeIdentity();
export const CARD = await makeIdentity();
export const STRANGER = await makeIdentity();

export const trusting = (...peers: Identity[]) => (fingerprint: string): boolean =>
  peers.some((peer) => peer.fingerprint === fingerprint);

/** A listener as {@linkcode HOST}, and whom it refused. */
export function hostListener(
  trusts: (fingerprint: string) => boolean | Promise<boolean> = trusting(CARD),
): { readonly listener: TlsListener; readonly refusals: Refusal[] } {
  const refusals: Refusal[] = [];
  const listener = listenTls("127.0.0.1", 0, {
    identity: HOST,
    trusts,
    onRefused: (refusal) => refusals.push(refusal),
  });
  return { listener, refusals };
}

export const dialAs = (
  identity: Identity,
  port: number,
  trusts: (fingerprint: string) => boolean = trusting(HOST),
): Promise<TlsTransport> => dialTls("127.0.0.1", port, { identity, trusts }, never);

/** Two ends that trust each other; the host's first. */
export async function securePair(): Promise<[TlsTransport, TlsTransport]> {
  await using listener = hostListener().listener;
  const [host, card] = await Promise.all([listener.accept(), dialAs(CARD, listener.port)]);
  return [host!, card];
}

/**
 * The key of somebody else in a PKCS #8 file that claims the public key of `victim`: OpenSSL believes it, and so takes
 * the victim's certificate with it. What it signs does not verify.
 */
export function impostorKey(victim: Identity): string {
  const bytes = (pem: string) => Uint8Array.fromBase64(pem.replaceAll(/-----[^-]+-----/g, ""));
  const key = bytes(STRANGER.key);
  // The uncompressed public point, 65 bytes, comes last.
  key.set(bytes(victim.key).subarray(-65), key.length - 65);
  return `-----BEGIN PRIVATE KEY-----\n${key.toBase64()}\n-----END PRIVATE KEY-----\n`;
}
