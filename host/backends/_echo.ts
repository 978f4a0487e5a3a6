/**
 * ICMP echo ("ping") answered for one IPv4 address.
 *
 * Spec: RFC 792; the checksum is updated as in RFC 1624. Frames have their 12-byte virtio-net header.
 *
 * @module
 */

/** Byte offsets in a frame behind its virtio-net header; ICMP after an IPv4 header of variable length. */
const AT = {
  target: 12,
  source: 18,
  etherType: 24,
  ip: 26,
  fragment: 32,
  protocol: 35,
  from: 38,
  to: 42,
} as const;
const SHORTEST = AT.ip + 20 + 8;
const DONT_FRAGMENT = 0x40;

/** The answer to an unfragmented echo request for `address` (four bytes), a new frame; undefined for all else. */
export function echoReply(
  frame: Uint8Array,
  address: readonly number[],
): Uint8Array | undefined {
  if (frame.length < SHORTEST) return undefined;
  if (frame[AT.etherType] !== 0x08 || frame[AT.etherType + 1] !== 0x00) return undefined;
  if (frame[AT.protocol] !== 1 || address.some((byte, i) => frame[AT.to + i] !== byte)) {
    return undefined;
  }
  const version = frame[AT.ip]! >> 4;
  const icmp = AT.ip + (frame[AT.ip]! & 15) * 4;
  const whole = (frame[AT.fragment]! & ~DONT_FRAGMENT) === 0 && frame[AT.fragment + 1] === 0;
  if (version !== 4 || !whole || icmp < AT.ip + 20 || icmp + 8 > frame.length) return undefined;
  if (frame[icmp] !== 8 || frame[icmp + 1] !== 0) return undefined;

  const reply = frame.slice();
  reply.fill(0, 0, AT.target);
  swap(reply, AT.target, AT.source, 6);
  swap(reply, AT.from, AT.to, 4);
  reply[icmp] = 0;
  const sum = (reply[icmp + 2]! << 8 | reply[icmp + 3]!) + 0x0800;
  const folded = (sum & 0xffff) + (sum >> 16);
  reply[icmp + 2] = folded >> 8;
  reply[icmp + 3] = folded & 0xff;
  return reply;
}

function swap(bytes: Uint8Array, a: number, b: number, length: number): void {
  const first = bytes.slice(a, a + length);
  bytes.copyWithin(a, b, b + length);
  bytes.set(first, b);
}
