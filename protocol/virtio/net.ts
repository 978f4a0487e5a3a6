/**
 * Network device: features, configuration space, frame header, control commands (virtio 1.3 §5.1).
 *
 * Queues without MQ: 0 receiveq, 1 transmitq, 2 controlq. With VERSION_1 the header has 12 bytes always.
 *
 * @module
 */
import { layout } from "../layout.ts";
import { le16, u8 } from "../scalar.ts";

/** Device type number (§5). */
export const TYPE = 1;

export const QUEUE = { receive: 0, transmit: 1, control: 2 } as const;

/** Feature bits (§5.1.3). */
export const FEATURE = {
  CSUM: 1n << 0n,
  GUEST_CSUM: 1n << 1n,
  MTU: 1n << 3n,
  MAC: 1n << 5n,
  GUEST_TSO4: 1n << 7n,
  GUEST_TSO6: 1n << 8n,
  GUEST_ECN: 1n << 9n,
  HOST_TSO4: 1n << 11n,
  HOST_TSO6: 1n << 12n,
  HOST_ECN: 1n << 13n,
  MRG_RXBUF: 1n << 15n,
  STATUS: 1n << 16n,
  CTRL_VQ: 1n << 17n,
  CTRL_RX: 1n << 18n,
  CTRL_MAC_ADDR: 1n << 23n,
} as const;

/** Device configuration space (§5.1.4); the MAC address is its first six bytes. */
export const CONFIG = layout({
  mac0: u8,
  mac1: u8,
  mac2: u8,
  mac3: u8,
  mac4: u8,
  mac5: u8,
  status: le16,
  max_virtqueue_pairs: le16,
  mtu: le16,
});

/** CONFIG.status bit. */
export const STATUS_LINK_UP = 1;

/** In front of every frame, both directions (§5.1.6). */
export const HEADER = layout({
  flags: u8,
  gso_type: u8,
  hdr_len: le16,
  gso_size: le16,
  csum_start: le16,
  csum_offset: le16,
  /** Receive: buffers that hold this frame. Transmit: 0. */
  num_buffers: le16,
});

/** HEADER.flags bits. */
export const HEADER_FLAG = { NEEDS_CSUM: 1, DATA_VALID: 2 } as const;

/** HEADER.gso_type: one of the types, plus ECN as a bit. */
export const GSO = { NONE: 0, TCPV4: 1, UDP: 3, TCPV6: 4, UDP_L4: 5, ECN: 0x80 } as const;

/** Longest Ethernet frame with segmentation (§5.1.6.3.1): 65 536 - 1 of IP packet and 14 of Ethernet header. */
export const MAX_FRAME = 65_549;

/** First two device-readable bytes of a control command (§5.1.6.5); one device-writable byte answers it. */
export const CONTROL = layout({ class: u8, command: u8 });

/** Commands, by class: `[class, command]` numbers. */
export const CONTROL_CLASS = { RX: 0, MAC: 1 } as const;
export const CONTROL_RX = { PROMISC: 0, ALLMULTI: 1 } as const;
export const CONTROL_MAC = { TABLE_SET: 0, ADDR_SET: 1 } as const;
export const CONTROL_ACK = { OK: 0, ERR: 1 } as const;
