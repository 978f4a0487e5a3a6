/**
 * Headers of the protocols that the diagnostic OS speaks, and what they need: network byte order, the Internet
 * checksum, addresses as text (RFC 826, 791, 792, 768, 1071).
 *
 * @module
 */
import { layout, type Scalar, u8, viewOf } from "../../../../../protocol/mod.ts";

/** Big-endian, as network headers are. */
const be16: Scalar<number> = {
  size: 2,
  get: (view, at) => u8.get(view, at) << 8 | u8.get(view, at + 1),
  set(view, at, value) {
    u8.set(view, at, value >>> 8);
    u8.set(view, at + 1, value & 0xff);
  },
};
const be32: Scalar<number> = {
  size: 4,
  get: (view, at) => be16.get(view, at) * 0x1_0000 + be16.get(view, at + 2),
  set(view, at, value) {
    be16.set(view, at, value >>> 16);
    be16.set(view, at + 2, value & 0xffff);
  },
};
export { be16, be32 };

/** Two addresses of six bytes, then this. */
export const ETHERNET_TYPE_AT = 12;
export const ETHERNET_SIZE = 14;
export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806 } as const;
export const BROADCAST: Uint8Array = new Uint8Array(6).fill(0xff);

/** ARP for IPv4 over Ethernet: the head; then sender MAC, IP, target MAC, IP at the offsets of ARP_AT. */
export const ARP_HEAD = layout({
  hardware: be16,
  protocol: be16,
  hardware_length: u8,
  protocol_length: u8,
  operation: be16,
});
export const ARP_AT = { senderMac: 8, senderIp: 14, targetMac: 18, targetIp: 24 } as const;
export const ARP_SIZE = 28;
export const ARP_OPERATION = { request: 1, reply: 2 } as const;

export const IPV4 = layout({
  version_ihl: u8,
  dscp_ecn: u8,
  total_length: be16,
  identification: be16,
  flags_fragment: be16,
  ttl: u8,
  protocol: u8,
  checksum: be16,
  source: be32,
  destination: be32,
});
export const IP_PROTOCOL = { icmp: 1, udp: 17 } as const;
/** More-fragments flag and fragment offset: not 0 in a fragment. */
export const IPV4_FRAGMENT_MASK = 0x3fff;

export const ICMP_ECHO = layout({
  type: u8,
  code: u8,
  checksum: be16,
  identifier: be16,
  sequence: be16,
});
export const ICMP_TYPE = { echoReply: 0, echoRequest: 8 } as const;

export const UDP = layout({ source: be16, destination: be16, length: be16, checksum: be16 });

/** Internet checksum of `bytes`; 0 when they contain a right one. */
export function checksum(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  let sum = 0;
  for (let i = 0; i + 1 < bytes.length; i += 2) sum += be16.get(view, i);
  if (bytes.length % 2 === 1) sum += bytes[bytes.length - 1]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return ~sum & 0xffff;
}

/** `10.0.0.1` as a number, or undefined if `text` is no IPv4 address. */
export function parseAddress(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let address = 0;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return undefined;
    address = address * 256 + Number(part);
  }
  return address;
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}

export function formatMac(mac: Uint8Array): string {
  return [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Netmask of a prefix length, as a number. */
export const netmask = (prefix: number): number => prefix === 0 ? 0 : (-1 << (32 - prefix)) >>> 0;

/** Prefix length of a netmask, or undefined if its ones are not all in front. */
export function prefixOf(mask: number): number | undefined {
  for (let prefix = 0; prefix <= 32; prefix++) if (netmask(prefix) === mask) return prefix;
  return undefined;
}
