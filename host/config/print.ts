/**
 * The configuration in effect: with its defaults, and with each card's address.
 *
 * @module
 */
import { fixedAddress } from "../control/addresses.ts";
import { addressOf } from "./card_network.ts";
import type { HostConfig } from "./schema.ts";

/** JSON that is itself a configuration. */
export function printConfig(config: HostConfig): string {
  const cards = Object.fromEntries(
    Object.entries(config.cards).map(([name, card]) => {
      const address = addressOf(config, name);
      if (address === undefined) return [name, card];
      return [name, { ...card, address: address === "dhcp" ? address : fixedAddress(address) }];
    }),
  );
  return `${JSON.stringify({ ...config, cards }, undefined, 2)}\n`;
}
