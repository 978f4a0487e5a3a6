/**
 * The number and the address of a configured card.
 *
 * @module
 */
import { parseNet } from "../backends/open_net.ts";
import { type CardAddress, defaultAddress, parseAddress } from "../control/addresses.ts";
import type { HostConfig } from "./schema.ts";
import { parseNetwork } from "./values.ts";

/** 3 for `mic3`; of a card with another name its place in the file, from 0. */
export function numberOf({ cards }: Pick<HostConfig, "cards">, name: string): number {
  const [, digits] = /^mic(\d{1,3})$/.exec(name) ?? [];
  return digits === undefined ? Object.keys(cards).indexOf(name) : Number(digits);
}

/** What the card is told of its network; undefined without one. @throws {RangeError} for a number too high for a default */
export function addressOf(config: HostConfig, name: string): CardAddress | undefined {
  const { net, address } = config.cards[name]!;
  const choice = parseNet(net);
  if (choice.kind === "none") return undefined;
  if (address !== undefined) return parseAddress(address);
  const uplink = choice.kind === "hub" ? config.networks[choice.hub]?.address : undefined;
  const host = uplink === undefined ? undefined : parseNetwork(uplink);
  return defaultAddress(choice.kind, numberOf(config, name), host);
}
