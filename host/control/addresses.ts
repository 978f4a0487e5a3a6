/**
 * Addresses of a card: its MAC, stable over restarts, and the IPv4 network it is told of.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** What the card's network is to be: DHCP, or a fixed address with the host's own beside it. */
export type CardAddress = "dhcp" | {
  readonly card: string;
  readonly prefix: number;
  readonly host: string | undefined;
};

/** The original's addresses for its first card: the host is .254 in the card's own network. */
export const DEFAULT_ADDRESS: CardAddress = {
  card: "172.31.1.1",
  prefix: 24,
  host: "172.31.1.254",
};

/** For help texts. */
export const ADDRESS_FORM = "dhcp or CARD/PREFIX[,HOST], as in 172.31.1.1/24,172.31.1.254";

/** @throws {RangeError} */
export function parseAddress(text: string): CardAddress {
  if (text === "dhcp") return text;
  const dotted = String.raw`(\d{1,3}(?:\.\d{1,3}){3})`;
  const match = new RegExp(`^${dotted}/(\\d{1,2})(?:,${dotted})?$`).exec(text);
  const [, card, prefix, host] = match ?? [];
  const valid = (address: string | undefined) =>
    address === undefined || address.split(".").every((part) => Number(part) <= 255);
  if (card === undefined || !valid(card) || !valid(host) || Number(prefix) > 32) {
    throw new RangeError(`Cannot use address "${text}": wanted ${ADDRESS_FORM}`);
  }
  return { card, prefix: Number(prefix), host };
}

/** The words of the kernel command line that tell the card image its name and network. */
export function cardParameters(name: string, address: CardAddress | undefined): string {
  const words = [`knightsbridge.name=${name}`];
  if (address === "dhcp") words.push("knightsbridge.net=dhcp");
  else if (address !== undefined) words.push(`knightsbridge.net=${fixedAddress(address)}`);
  return words.join(" ");
}

/** `CARD/PREFIX[,HOST]`: the host is the card's gateway. */
export function fixedAddress({ card, prefix, host }: Exclude<CardAddress, "dhcp">): string {
  return `${card}/${prefix}${host === undefined ? "" : `,${host}`}`;
}

/**
 * A locally administered MAC address for card `name` of the machine `machineId` names: the same at each start, so that
 * leases and neighbour tables stay true.
 */
export function stableMac(machineId: string, name: string): Uint8Array {
  const digest = createHash("sha256").update(`${machineId}\n${name}`).digest();
  const mac = new Uint8Array(digest.subarray(0, 6));
  mac[0] = (mac[0]! & 0xfc) | 0x02; // locally administered, unicast
  return mac;
}
