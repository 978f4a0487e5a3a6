/**
 * This machine's identity and the peers it trusts: two files in the user's configuration folder.
 *
 * `identity.pem` holds key and certificate and is this user's alone. `trusted.json` holds the fingerprints that pairing
 * stored; a line taken out of it is a peer that is trusted no more, from its next connection on.
 *
 * Both are written beside their place and put there whole, so that whoever is stopped half-way, or comes second, leaves
 * nothing half-written; and neither is believed if another user could have put it there (`private_files.ts`).
 *
 * @module
 */
import { type Identity, identityText, makeIdentity, parseIdentity } from "../../protocol/mod.ts";
import { CommandError, EXIT } from "./errors.ts";
import { lockFolder, readPrivate, writeDraft } from "./private_files.ts";

/** A peer in `trusted.json`. */
export interface TrustedPeer {
  /** What the peer is to this machine. */
  readonly role: "host" | "card";
  /** For people: where it was when it was paired. */
  readonly name: string;
  /** SHA-256 of its certificate, 64 hexadecimal digits. */
  readonly fingerprint: string;
}

/** The user's folder: `$XDG_CONFIG_HOME/knightsbridge` or `~/.config/knightsbridge`. @throws {CommandError} */
export function configFolder(): string {
  const home = Deno.env.get("HOME");
  const base = Deno.env.get("XDG_CONFIG_HOME") || (home && `${home}/.config`);
  if (!base) {
    throw new CommandError(
      EXIT.resource,
      "Cannot find a configuration folder: set HOME or XDG_CONFIG_HOME",
    );
  }
  return `${base}/knightsbridge`;
}

/** The identity in `folder`, made if there is none. @throws {CommandError} it is none, or not this user's alone */
export async function machineIdentity(folder: string = configFolder()): Promise<Identity> {
  const path = `${folder}/identity.pem`;
  const known = await readIdentity(path);
  if (known) return known;
  let draft: string | undefined;
  try {
    const text = identityText(await makeIdentity());
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    draft = await writeDraft(path, text);
    // Of two that come first at once, one's identity becomes both's: a link, unlike a rename, takes nobody's place.
    await Deno.link(draft, path).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
  } catch (error) {
    throw unusable("make", path, error);
  } finally {
    if (draft !== undefined) await Deno.remove(draft).catch(() => {});
  }
  const made = await readIdentity(path);
  if (made) return made;
  throw unusable("make", path, "something is in its place that leads nowhere; remove it");
}

/**
 * 16 bytes by which a host knows this machine's card again where nothing is encrypted: the same for every process, and
 * not to be guessed, since that is all a host has there to tell this card from another. Made of the key, not of the
 * certificate, which is no secret.
 */
export async function plainIdentity({ key }: Pick<Identity, "key">): Promise<Uint8Array> {
  const text = new TextEncoder();
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const secret = await crypto.subtle.importKey("raw", text.encode(key), hmac, false, ["sign"]);
  const code = text.encode("knightsbridge plain identity 1");
  return new Uint8Array(await crypto.subtle.sign("HMAC", secret, code)).slice(0, 16);
}

/** @throws {CommandError} the file is there and cannot be used */
export async function trustedPeers(folder: string = configFolder()): Promise<TrustedPeer[]> {
  const path = `${folder}/trusted.json`;
  try {
    const text = await readPrivate(path, "changed by others");
    if (text === undefined) return [];
    const { peers } = JSON.parse(text) ?? {};
    if (Array.isArray(peers) && peers.every(isPeer)) return peers;
    throw new SyntaxError('wanted {"peers": [{"role", "name", "fingerprint"}, ...]}');
  } catch (error) {
    throw unusable("read", path, error);
  }
}

/** Adds `peer`, in place of what had its role and fingerprint. @throws {CommandError} */
export async function trustPeer(
  peer: TrustedPeer,
  folder: string = configFolder(),
): Promise<void> {
  const path = `${folder}/trusted.json`;
  let draft: string | undefined;
  try {
    // Two pairings at once: the second must see what the first wrote.
    using _lock = await lockFolder(folder);
    const others = (await trustedPeers(folder)).filter(({ role, fingerprint }) =>
      role !== peer.role || fingerprint !== peer.fingerprint
    );
    const text = `${JSON.stringify({ peers: [...others, peer] }, undefined, 2)}\n`;
    draft = await writeDraft(path, text);
    await Deno.rename(draft, path);
    draft = undefined;
  } catch (error) {
    throw unusable("write", path, error);
  } finally {
    if (draft !== undefined) await Deno.remove(draft).catch(() => {});
  }
}

/** Whether a fingerprint is that of a trusted `role`; the file is read anew each time. */
export const trusts =
  (role: TrustedPeer["role"], folder: string = configFolder()) =>
  async (fingerprint: string): Promise<boolean> =>
    (await trustedPeers(folder)).some((peer) =>
      peer.role === role && peer.fingerprint === fingerprint
    );

async function readIdentity(path: string): Promise<Identity | undefined> {
  try {
    const text = await readPrivate(path, "read by others");
    return text === undefined ? undefined : await parseIdentity(text);
  } catch (error) {
    throw unusable("use", path, error);
  }
}

function isPeer(value: unknown): value is TrustedPeer {
  const { role, name, fingerprint } = (value ?? {}) as Partial<Record<string, unknown>>;
  return (role === "host" || role === "card") && typeof name === "string" &&
    typeof fingerprint === "string" && /^[0-9a-f]{64}$/.test(fingerprint);
}

const unusable = (act: string, path: string, error: unknown): CommandError =>
  error instanceof CommandError ? error : new CommandError(
    EXIT.resource,
    `Cannot ${act} ${path}: ${error instanceof Error ? error.message : error}`,
    { cause: error },
  );
