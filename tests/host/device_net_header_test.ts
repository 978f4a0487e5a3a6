import { assertEquals } from "@std/assert";
import { acceptHeader } from "../../host/devices/net_header.ts";
import { viewOf } from "../../protocol/layout.ts";
import { FEATURE } from "../../protocol/virtio/net.ts";

const ALL = FEATURE.CSUM | FEATURE.HOST_TSO4 | FEATURE.HOST_TSO6 | FEATURE.HOST_ECN;

/** A frame of 1514 bytes with TCP at 34 behind a header of these bytes. */
function frame(header: readonly number[], length = 1514, tcpHeader = 20): Uint8Array {
  const bytes = new Uint8Array(12 + length);
  bytes.set(header);
  if (bytes.length > 12 + 34 + 12) bytes[12 + 34 + 12] = (tcpHeader / 4) << 4;
  return bytes;
}

const PLAIN = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const CSUM = [1, 0, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0];
const TSO4 = [1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0, 0, 0];
const set = (header: readonly number[], at: number, value: number) => header.with(at, value);

// Each accepted row with the header as it goes on; virtio 1.3 §5.1.6.2.
const CASES: readonly {
  readonly when: string;
  readonly header: readonly number[];
  readonly features?: bigint;
  readonly length?: number;
  readonly tcpHeader?: number;
  readonly sent?: readonly number[];
}[] = [
  { when: "nothing is asked", header: PLAIN, sent: PLAIN },
  { when: "nothing is asked nor negotiated", header: PLAIN, features: 0n, sent: PLAIN },
  { when: "the frame has 14 bytes", header: PLAIN, length: 14, sent: PLAIN },
  { when: "the frame has 13 bytes", header: PLAIN, length: 13 },
  { when: "the frame is longer than a segment can be", header: PLAIN, length: 65_550 },
  { when: "the frame is as long as a segment can be", header: TSO4, length: 65_549, sent: TSO4 },
  { when: "unknown flags are set", header: set(PLAIN, 0, 0xfe), sent: PLAIN },
  {
    when: "fields that mean nothing are set",
    header: [0, 0, ...new Array(10).fill(9)],
    sent: PLAIN,
  },
  { when: "a checksum is asked", header: CSUM, sent: CSUM },
  { when: "a checksum is asked and not negotiated", header: CSUM, features: 0n },
  { when: "the checksum's place is the end of the frame", header: CSUM, length: 52, sent: CSUM },
  { when: "the checksum's place is past the end", header: CSUM, length: 51 },
  { when: "the checksum starts at 65535", header: [1, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0] },
  { when: "segmentation is asked", header: TSO4, sent: TSO4 },
  { when: "segmentation is asked for IPv6", header: set(TSO4, 1, 4), sent: set(TSO4, 1, 4) },
  { when: "segmentation is asked with ECN", header: set(TSO4, 1, 0x81), sent: set(TSO4, 1, 0x81) },
  { when: "TSO4 is not negotiated", header: TSO4, features: ALL & ~FEATURE.HOST_TSO4 },
  { when: "TSO6 is not negotiated", header: set(TSO4, 1, 4), features: ALL & ~FEATURE.HOST_TSO6 },
  { when: "ECN is not negotiated", header: set(TSO4, 1, 0x81), features: ALL & ~FEATURE.HOST_ECN },
  { when: "UDP fragmentation is asked", header: set(TSO4, 1, 3) },
  { when: "UDP segmentation is asked", header: set(TSO4, 1, 5) },
  { when: "ECN is asked without segmentation", header: set(CSUM, 1, 0x80) },
  { when: "segmentation is asked without a checksum", header: set(TSO4, 0, 0) },
  { when: "a segment has no bytes", header: set(set(TSO4, 4, 0), 5, 0) },
  { when: "the checksum is not where TCP has it", header: set(TSO4, 8, 6) },
  { when: "hdr_len is wrong", header: set(TSO4, 2, 255), sent: TSO4 },
  { when: "hdr_len is missing", header: set(TSO4, 2, 0), sent: TSO4 },
  { when: "TCP has options", header: TSO4, tcpHeader: 32, sent: set(TSO4, 2, 66) },
  { when: "the TCP header is too short", header: TSO4, tcpHeader: 16 },
  { when: "the TCP header ends past the frame", header: TSO4, length: 60, tcpHeader: 32 },
  { when: "there is no room for a TCP header", header: TSO4, length: 53 },
  { when: "TCP starts in the Ethernet header", header: set(TSO4, 6, 13) },
  { when: "num_buffers is set", header: set(TSO4, 10, 3), sent: TSO4 },
];

for (const { when, header, features = ALL, length, tcpHeader, sent } of CASES) {
  Deno.test(`acceptHeader() is ${sent !== undefined} when ${when}`, () => {
    const bytes = frame(header, length, tcpHeader);
    assertEquals(acceptHeader(viewOf(bytes), features), sent !== undefined);
    if (sent !== undefined) assertEquals([...bytes.subarray(0, 12)], [...sent]);
  });
}
