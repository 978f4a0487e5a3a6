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

/** What the cards of a hub share, unless its uplink has an address of another network. */
const HUB: Ipv4Address = { address: "172.31.0.0", prefix: 24 };
/** The last byte of a host's address, as the original has it. */
const HOST = 254;

/** A dotted address, and the length of its network's prefix. */
export interface Ipv4Address {
  readonly address: string;
  readonly prefix: number;
}

/**
 * The address of card `number` (0 for mic0), unless another is asked for. Behind a TAP each card has a network of its
 * own, as the original's: 172.31.1.1 for the first, and the host is .254 in it. The cards of a hub share one: 172.31.0,
 * or that of `uplink`, which is the host's address in it.
 *
 * @throws {RangeError} beyond 253 cards
 */
export function defaultAddress(
  kind: "tap" | "hub" | "passt",
  number: number,
  uplink?: Ipv4Address,
): CardAddress {
  if (kind === "passt") return "dhcp";
  if (number + 1 >= HOST) {
    throw new RangeError(`Cannot make up an address for card ${number}: wanted 0 to ${HOST - 2}`);
  }
  if (kind === "tap") {
    const network = `172.31.${number + 1}`;
    return { card: `${network}.1`, prefix: 24, host: `${network}.${HOST}` };
  }
  const { address, prefix } = uplink ?? HUB;
  const card = address.replace(/\d+$/, String(number + 1));
  return { card, prefix, host: uplink?.address };
}

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
