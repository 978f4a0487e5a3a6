/** Clauses of virtio 1.3 §5.1, the network device. */
import { LEGACY, type Section } from "./types.ts";

const NETWORK = "Device Types / Network Device";
const OPERATION = `${NETWORK} / Device Operation`;
const CONTROL = `${OPERATION} / Control Virtqueue`;
const STEERING = `${CONTROL} / Automatic receive steering in multiqueue mode`;

const MTU =
  "NetDevice has the MTU that its backend began with, and refuses one that no device may have";
const MERGED = "NetDevice merges buffers for a 64 KiB frame";
const PIECES = "NetDevice counts buffers right when the outgoing batch is cut every 1 bytes";
const ONE_BUFFER =
  "NetDevice without MRG_RXBUF fills one buffer, and drops what does not fit into it";
const TAP = "Linux on a TAP is pinged, pings, and runs iperf3 both ways with its offloads on";
const NO_TABLE =
  "no table of addresses is kept: every frame is delivered, as the section lets a device do";
const KERNEL =
  "receive headers come from the kernel behind a TAP, which has checked what they say; other backends have no offloads";
const UFO = "a UDP fragment";

const header = (what: string) => ({
  "host/device_net_receive": [`NetDevice drops a frame with ${what}`],
});

export const NET_CLAUSES: readonly Section[] = [
  {
    section: "5.1.4.1",
    label: `${NETWORK} / Device configuration layout`,
    musts: 9,
    clauses: [
      {
        must: 1,
        says: "max_virtqueue_pairs is from 1 to 0x8000",
        without: "VIRTIO_NET_F_MQ",
      },
      { must: 2, says: "mtu is from 68 to 65535", shown: { "host/device_net": [MTU] } },
      { must: 3, says: "mtu does not change", shown: { "host/device_net": [MTU] } },
      {
        must: 4,
        says: "no received packet is longer than mtu, but for segments",
        shown: {
          "host/device_net_receive": [
            "NetDevice drops a frame a byte longer than the MTU",
            "NetDevice delivers a frame of the MTU",
            "NetDevice drops a frame longer with a VLAN tag",
          ],
        },
      },
      {
        must: 5,
        says: "packets of mtu are sent on, whole",
        shown: {
          "host/device_net": [
            "NetDevice sends a frame of an MTU of 68 whole",
            "NetDevice sends a frame of an MTU of 1500 whole",
            "NetDevice sends a frame of an MTU of 65535 whole",
          ],
        },
      },
      { must: 6, says: "rss_max_key_size is at least 40", without: "VIRTIO_NET_F_HASH_REPORT" },
      {
        must: 7,
        says: "rss_max_indirection_table_length is at least 128",
        without: "VIRTIO_NET_F_RSS",
      },
      { must: 8, says: "speed is one that can be", without: "VIRTIO_NET_F_SPEED_DUPLEX" },
      { must: 9, says: "duplex is one that can be", without: "VIRTIO_NET_F_SPEED_DUPLEX" },
    ],
  },
  {
    section: "5.1.4.3",
    label:
      `sec:${NETWORK} / Device configuration layout / Legacy Interface: Device configuration layout`,
    musts: 1,
    not: LEGACY,
  },
  {
    section: "5.1.6.1",
    label: `sec:${OPERATION} / Legacy Interface: Device Operation`,
    musts: 1,
    not: LEGACY,
  },
  {
    section: "5.1.6.2.2",
    label: `${OPERATION} / Packet Transmission`,
    musts: 4,
    clauses: [
      {
        must: 1,
        says: "flags that are not known are ignored",
        shown: { "host/device_net_header": ["acceptHeader() is true when unknown flags are set"] },
      },
      {
        must: 2,
        says: "without NEEDS_CSUM the checksum's place means nothing",
        shown: {
          "host/device_net_header": [
            "acceptHeader() is true when fields that mean nothing are set",
          ],
        },
      },
      {
        must: 3,
        says: "hdr_len is not relied on",
        shown: {
          "host/device_net_header": [
            "acceptHeader() is true when hdr_len is wrong",
            "acceptHeader() is true when hdr_len is missing",
            "acceptHeader() is true when TCP has options",
          ],
        },
      },
      {
        must: 4,
        says: "without NEEDS_CSUM the checksum is not taken for right: nobody is told that it is",
        shown: { "host/device_net_header": ["acceptHeader() is true when unknown flags are set"] },
      },
    ],
  },
  {
    section: "5.1.6.3.2",
    label: `${OPERATION} / Setting Up Receive Buffers`,
    musts: 2,
    clauses: [
      {
        must: 1,
        says: "num_buffers is how many buffers hold the packet",
        shown: {
          "host/device_net_receive": [
            MERGED,
            "NetDevice puts a frame into one buffer, and says so",
          ],
        },
      },
      {
        must: 2,
        says: "without MRG_RXBUF a packet takes one buffer",
        shown: { "host/device_net_receive": [ONE_BUFFER] },
      },
    ],
  },
  {
    section: "5.1.6.4.1",
    label: `${OPERATION} / Processing of Incoming Packets`,
    musts: 19,
    clauses: [
      {
        must: 1,
        says: "without MRG_RXBUF num_buffers is 1",
        shown: { "host/device_net_receive": [ONE_BUFFER] },
      },
      {
        must: 2,
        says: "with MRG_RXBUF num_buffers counts the buffers of the packet and its header",
        shown: { "host/device_net_receive": [MERGED, PIECES] },
      },
      {
        must: 3,
        says: "all buffers of a packet but the last are full",
        shown: { "host/device_net_receive": [MERGED] },
      },
      {
        must: 4,
        says: "the driver sees all buffers of a packet used at once",
        shown: { "host/device_net_receive": ["NetDevice shows all buffers of a frame at once"] },
      },
      {
        must: 5,
        says: "without GUEST_CSUM flags are 0",
        shown: {
          "host/device_net_receive": [
            "NetDevice delivers a frame with news that the driver cannot read",
            "NetDevice drops a frame with a checksum that the driver cannot make",
          ],
        },
      },
      {
        must: 6,
        says: "without GUEST_TSO4 no packet is a segment of TCP over IPv4",
        shown: header("IPv4 segments not negotiated"),
      },
      {
        must: 7,
        says: "without GUEST_UFO no packet is a UDP fragment",
        shown: header(UFO),
      },
      {
        must: 8,
        says: "without GUEST_TSO6 no packet is a segment of TCP over IPv6",
        shown: header("IPv6 segments not negotiated"),
      },
      {
        must: 9,
        says: "without GUEST_USO4 and GUEST_USO6 no packet is a UDP segment",
        shown: header("a UDP segment"),
      },
      {
        must: 10,
        says: "with GUEST_ECN a segment with congestion notification says so",
        shown: {
          "host/device_net_receive": [
            "NetDevice delivers a frame with a TCP segment of IPv6 with ECN",
            "NetDevice drops a frame with ECN not negotiated",
          ],
        },
      },
      { must: 11, says: "NEEDS_CSUM vouches for all checksums further out", not: KERNEL },
      {
        must: 12,
        says: "with NEEDS_CSUM the checksum is that of the pseudo header",
        shown: { "e2e/linux_net_tap": [TAP] },
      },
      {
        must: 13,
        says: "with NEEDS_CSUM the checksum's place is right",
        shown: { "e2e/linux_net_tap": [TAP] },
      },
      {
        must: 14,
        says: "without any segmentation gso_type is NONE",
        shown: {
          "host/device_net_receive": [
            "NetDevice drops a frame with IPv4 segments not negotiated",
            "NetDevice drops a frame with IPv6 segments not negotiated",
            `NetDevice drops a frame with ${UFO}`,
          ],
        },
      },
      {
        must: 15,
        says: "a segment has NEEDS_CSUM",
        shown: header("a segment whose checksum is there"),
      },
      { must: 16, says: "a segment has a size", shown: header("a segment without a size") },
      {
        must: 17,
        says: "with RSC_EXT a segment says how many it was made of",
        without: "VIRTIO_NET_F_RSC_EXT",
      },
      {
        must: 18,
        says: "without RSC_EXT no packet has RSC_INFO",
        shown: {
          "host/device_net_receive": [
            "NetDevice delivers a frame with flags of features that nobody offers",
          ],
        },
      },
      { must: 19, says: "DATA_VALID vouches for the checksum", not: KERNEL },
    ],
  },
  {
    section: "5.1.6.4.3",
    label:
      `sec:${OPERATION} / Processing of Incoming Packets / Hash calculation for incoming packets`,
    musts: 3,
    without: "VIRTIO_NET_F_HASH_REPORT",
  },
  {
    section: "5.1.6.4.4.4",
    label: `${CONTROL} / Inner Header Hash`,
    musts: 2,
    without: "VIRTIO_NET_F_HASH_TUNNEL",
  },
  {
    section: "5.1.6.5.1.1",
    label: `${CONTROL} / Packet Receive Filtering`,
    musts: 2,
    clauses: [
      {
        must: 1,
        says: "the commands PROMISC and ALLMULTI are served",
        shown: {
          "host/device_net_control": [
            "NetDevice answers 0 to promiscuous on",
            "NetDevice answers 0 to all multicast off",
          ],
        },
      },
      {
        must: 2,
        says: "the commands of CTRL_RX_EXTRA are served",
        without: "VIRTIO_NET_F_CTRL_RX_EXTRA",
      },
    ],
  },
  {
    section: "5.1.6.5.2.1",
    label: `${CONTROL} / Setting MAC Address Filtering`,
    musts: 3,
    clauses: [
      { must: 1, says: "the MAC table is empty after a reset", not: NO_TABLE },
      { must: 2, says: "the MAC table is set before its command is used", not: NO_TABLE },
      {
        must: 3,
        says: "mac is set before the command that sets it is used",
        shown: {
          "clauses/config": [
            "a MAC address is in the configuration when the command that set it is used",
          ],
        },
      },
    ],
  },
  {
    section: "5.1.6.5.2.3",
    label:
      `sec:${CONTROL} / Setting MAC Address Filtering / Legacy Interface: Setting MAC Address Filtering`,
    musts: 1,
    not: LEGACY,
  },
  {
    section: "5.1.6.5.3.1",
    label: `${CONTROL} / VLAN Filtering`,
    musts: 2,
    clauses: [
      {
        must: 1,
        says: "without CTRL_VLAN every tagged packet is delivered",
        shown: {
          "host/device_net_receive": [
            "NetDevice delivers a frame of the MTU with a VLAN tag",
            "NetDevice delivers a frame of the MTU with a service VLAN tag",
          ],
        },
      },
      {
        must: 2,
        says: "with CTRL_VLAN packets of tags in the table are delivered",
        without: "VIRTIO_NET_F_CTRL_VLAN",
      },
    ],
  },
  {
    section: "5.1.6.5.3.2",
    label: `sec:${CONTROL} / VLAN Filtering / Legacy Interface: VLAN Filtering`,
    musts: 1,
    not: LEGACY,
  },
  {
    section: "5.1.6.5.4.2",
    label: `${CONTROL} / Gratuitous Packet Sending`,
    musts: 1,
    without: "VIRTIO_NET_F_GUEST_ANNOUNCE",
  },
  {
    section: "5.1.6.5.6",
    label: `sec:${STEERING}`,
    musts: 1,
    without: "VIRTIO_NET_F_MQ",
  },
  {
    section: "5.1.6.5.6.2",
    label: STEERING,
    musts: 3,
    without: "VIRTIO_NET_F_MQ",
  },
  {
    section: "5.1.6.5.6.3",
    label: `sec:${STEERING} / Legacy Interface: Automatic receive steering in multiqueue mode`,
    musts: 1,
    not: LEGACY,
  },
  {
    section: "5.1.6.5.6.4",
    label: `sec:${STEERING} / Hash calculation`,
    musts: 1,
    without: "VIRTIO_NET_F_HASH_REPORT",
  },
  {
    section: "5.1.6.5.7.3",
    label: `${CONTROL} / Receive-side scaling (RSS) / RSS processing`,
    musts: 2,
    without: "VIRTIO_NET_F_RSS",
  },
  {
    section: "5.1.6.5.8.3",
    label:
      `sec:${CONTROL} / Offloads State Configuration / Setting Offloads State / Legacy Interface: Setting Offloads State`,
    musts: 1,
    not: LEGACY,
  },
  {
    section: "5.1.6.5.9.6",
    label: `${CONTROL} / Notifications Coalescing`,
    musts: 6,
    without: "VIRTIO_NET_F_NOTF_COAL",
  },
];
