/**
 * The virtio-net header of a frame that the driver sends (virtio 1.3 §5.1.6.2): checked, and made exact, before a TAP
 * sees it. A TAP trusts these fields as far as its own checks go; what a driver says beyond what it negotiated, or
 * beyond its frame, ends here.
 *
 * @module
 */
import { le16, u8, virtioNet } from "../../protocol/mod.ts";

const { FEATURE, GSO, HEADER, HEADER_FLAG, MAX_FRAME } = virtioNet;

const ETHERNET_HEADER = 14;
/** TCP: where its checksum and its data offset are, and its shortest header. */
const TCP = { checksum: 16, dataOffset: 12, header: 20 } as const;

/**
 * Checks the header at the beginning of `bytes` and rewrites it: unknown flags are cleared, fields that mean nothing
 * are zero, and `hdr_len`, on which a device must not rely, is what the frame itself says.
 *
 * @param view of exactly `bytes`
 * @param features as negotiated
 * @returns false if the frame must not be sent
 */
export function acceptHeader(view: DataView, features: bigint): boolean {
  const frame = view.byteLength - HEADER.size;
  if (frame < ETHERNET_HEADER || frame > MAX_FRAME) return false;
  const partial = (u8.get(view, HEADER.at.flags) & HEADER_FLAG.NEEDS_CSUM) !== 0;
  const gso = u8.get(view, HEADER.at.gso_type);
  const start = le16.get(view, HEADER.at.csum_start);
  const offset = le16.get(view, HEADER.at.csum_offset);
  const size = le16.get(view, HEADER.at.gso_size);
  if (partial && ((features & FEATURE.CSUM) === 0n || start + offset + 2 > frame)) return false;
  let headers = 0;
  if (gso !== GSO.NONE) {
    if (!partial || size === 0 || !acceptsGso(gso, features) || offset !== TCP.checksum) {
      return false;
    }
    headers = tcpHeadersEnd(view, start, frame);
    if (headers > frame) return false;
  }
  u8.set(view, HEADER.at.flags, partial ? HEADER_FLAG.NEEDS_CSUM : 0);
  le16.set(view, HEADER.at.hdr_len, headers);
  le16.set(view, HEADER.at.gso_size, gso === GSO.NONE ? 0 : size);
  le16.set(view, HEADER.at.csum_start, partial ? start : 0);
  le16.set(view, HEADER.at.csum_offset, partial ? offset : 0);
  le16.set(view, HEADER.at.num_buffers, 0);
  return true;
}

function acceptsGso(gso: number, features: bigint): boolean {
  const ecn = (gso & GSO.ECN) === 0 || (features & FEATURE.HOST_ECN) !== 0n;
  const type = gso & ~GSO.ECN;
  const feature = type === GSO.TCPV4
    ? FEATURE.HOST_TSO4
    : type === GSO.TCPV6
    ? FEATURE.HOST_TSO6
    : 0n;
  return ecn && (features & feature) !== 0n;
}

/** Bytes of frame up to the end of the TCP header at `start`; Infinity if there is none. */
function tcpHeadersEnd(view: DataView, start: number, frame: number): number {
  if (start < ETHERNET_HEADER || start + TCP.header > frame) return Infinity;
  const header = (u8.get(view, HEADER.size + start + TCP.dataOffset) >> 4) * 4;
  return header < TCP.header ? Infinity : start + header;
}
