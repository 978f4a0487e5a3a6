/**
 * The hubs that a configuration names, with their uplinks.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";
import { Hub } from "../backends/hub/hub.ts";
import { Hubs } from "../backends/hub/hubs.ts";
import { openNet, parseNet } from "../backends/open_net.ts";
import type { HostConfig } from "../config/schema.ts";
import { parseNetwork } from "../config/values.ts";

/** A hub whose uplink cannot be had is one without it: its cards still reach each other, and `report` hears why. */
export async function openHubs(
  networks: HostConfig["networks"],
  report: (error: BackendError) => void,
): Promise<Hubs> {
  const hubs = new Hubs();
  const mayConfigure = Deno.uid() === 0;
  for (const [name, { uplink, address }] of Object.entries(networks)) {
    if (uplink === undefined) continue;
    const network = address !== undefined && mayConfigure && { network: parseNetwork(address) };
    try {
      hubs.add(new Hub(name, await openNet(parseNet(uplink), { report, ...network })));
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      report(error);
    }
  }
  return hubs;
}
