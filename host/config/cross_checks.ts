/**
 * What no single value of a configuration shows: two that do not go together.
 *
 * @module
 */
import { closestString } from "@std/text/closest-string";
import { parseNet } from "../backends/open_net.ts";
import type { CardAddress } from "../control/addresses.ts";
import { addressOf } from "./card_network.ts";
import type { CardConfig, HostConfig } from "./schema.ts";
import { shortened } from "./values.ts";

export interface Contradiction {
  readonly path: readonly (string | number)[];
  readonly text: string;
}

export function crossChecks(config: HostConfig): Contradiction[] {
  const found: Contradiction[] = [];
  if (config.secure && config.insecure) {
    found.push({ path: ["insecure"], text: '"secure" and "insecure" cannot both be true' });
  }
  for (const [name, { uplink, address }] of Object.entries(config.networks)) {
    if (address === undefined || uplink !== undefined) continue;
    const text = "nobody would have that address: the hub has no uplink";
    found.push({ path: ["networks", name, "address"], text });
  }
  for (const [name, { net }] of Object.entries(config.cards)) {
    const choice = parseNet(net);
    if (choice.kind !== "hub" || Object.hasOwn(config.networks, choice.hub)) continue;
    const hubs = Object.keys(config.networks);
    const hint = hubs.length === 0
      ? `add "networks": {"${choice.hub}": {}}`
      : `did you mean "hub:${closestString(choice.hub, hubs)}"?`;
    const text = `there is no network "${choice.hub}"; ${hint}`;
    found.push({ path: ["cards", name, "net"], text });
  }
  const unique = (key: keyof CardConfig, what: string, of: (card: string) => readonly string[]) => {
    const owners = new Map<string, string>();
    for (const card of Object.keys(config.cards)) {
      for (const value of of(card)) {
        const owner = owners.get(value);
        if (owner === undefined) owners.set(value, card);
        else found.push({ path: ["cards", card, key], text: `${owner} has the same ${what}` });
      }
    }
  };
  const cardOf = (name: string) => config.cards[name]!;
  unique("identity", "identity", (name) => {
    const { identity } = cardOf(name);
    return identity === undefined ? [] : [shortened(identity)];
  });
  if (found.length > 0) return found;
  const addresses = new Map<string, CardAddress | undefined>();
  for (const name of Object.keys(config.cards)) {
    try {
      addresses.set(name, addressOf(config, name));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      found.push({ path: ["cards", name], text: `${error.message}; give it an "address"` });
    }
  }
  unique("address", "address", (name) => {
    const { net } = cardOf(name);
    const address = addresses.get(name);
    if (address === undefined || address === "dhcp") return [];
    // Two hubs are two networks; what is behind TAPs is one machine's.
    return [`${net.startsWith("hub:") ? net : "tap"} ${address.card}`];
  });
  unique("net", "TAP interface", (name) => {
    const { net } = cardOf(name);
    return net.startsWith("tap:") ? [net] : [];
  });
  unique("console", "terminal", (name) => cardOf(name).console.includes("stdio") ? ["stdio"] : []);
  return found;
}
