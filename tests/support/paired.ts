/**
 * A machine that is paired with itself, for a host and a card as two processes of one user.
 *
 * @module
 */
import { machineIdentity, trustPeer } from "../../scripts/cli/mod.ts";

/** Environment of both processes: a configuration in `folder`, in which host and card trust each other. */
export async function pairedEnvironment(folder: string): Promise<Record<string, string>> {
  const configuration = `${folder}/config/knightsbridge`;
  const { fingerprint } = await machineIdentity(configuration);
  for (const role of ["host", "card"] as const) {
    await trustPeer({ role, name: "test", fingerprint }, configuration);
  }
  return { XDG_CONFIG_HOME: `${folder}/config` };
}
