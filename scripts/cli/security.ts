/**
 * Whether a link is encrypted: the rule that host and card share.
 *
 * @module
 */
import { isLoopback } from "../../protocol/mod.ts";
import { CommandError, EXIT } from "./errors.ts";
import { type TrustedPeer, trustedPeers } from "./identity.ts";

/** What a link that is not encrypted means, for people. */
export const INSECURE =
  "not encrypted: who is on the network between can read and change everything, " +
  "and whoever reaches the host's port can be the card";

/** The options of both commands. */
export const SECURITY_OPTIONS = {
  secure: { kind: "flag", help: "Encrypt on loopback too." },
  insecure: {
    kind: "flag",
    help: "Do not encrypt, wherever the other machine is: who is on the network between\n" +
      "can read and change everything, and whoever reaches the port can be the card.",
  },
} as const;

/** TLS on anything but loopback, unless the options say otherwise. @throws {CommandError} if they say both */
export function usesTls(
  hostname: string,
  { secure, insecure }: { readonly secure: boolean; readonly insecure: boolean },
): boolean {
  if (secure && insecure) {
    throw new CommandError(EXIT.usage, "Cannot use --secure and --insecure together");
  }
  return secure || !insecure && !isLoopback(hostname);
}

/**
 * @param folder of the identity; the user's own when left out
 * @throws {CommandError} saying how to pair, if no `role` is trusted yet: nobody could connect
 */
export async function requirePaired(
  act: string,
  role: TrustedPeer["role"],
  folder?: string,
): Promise<void> {
  if ((await trustedPeers(folder)).some((peer) => peer.role === role)) return;
  throw new CommandError(
    EXIT.resource,
    `Cannot ${act}: this machine trusts no ${role} yet; pair the two once, with ` +
      `"deno task host --listen ADDR:PORT --pair" on the host and ` +
      `"deno task card --connect HOST:PORT --pair CODE" on the card`,
  );
}
