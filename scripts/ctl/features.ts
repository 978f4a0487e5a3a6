/**
 * What the virtio features mean to whoever runs a card (virtio 1.3 §5.1.3, §5.2.3, §5.3.3, §6).
 *
 * @module
 */
import type { DeviceStatus } from "../../host/control/card_control.ts";

type Kind = DeviceStatus["kind"];

const TRANSPORT: Readonly<Record<string, string>> = {
  VERSION_1: "virtio 1.x, not the legacy interface",
  INDIRECT_DESC: "a request may use more segments than its queue has places",
  EVENT_IDX: "each side says when it wants the next notification: fewer of them",
  RING_RESET: "one queue may be reset by itself",
};

const DEVICE: Readonly<Record<Kind, Readonly<Record<string, string>>>> = {
  block: {
    SIZE_MAX: "the longest segment of a request is told",
    SEG_MAX: "the most segments of a request are told",
    GEOMETRY: "cylinders, heads and sectors are told",
    RO: "the disk is read-only",
    BLK_SIZE: "the block size is told",
    FLUSH: "the card OS can have what it wrote put on the disk",
    TOPOLOGY: "how blocks lie on the disk is told",
    CONFIG_WCE: "the card OS may turn the write cache off",
    MQ: "several queues",
    DISCARD: "blocks that are not used any more are given back",
    WRITE_ZEROES: "blocks are zeroed without sending zeroes",
  },
  net: {
    CSUM: "the host computes checksums of what the card sends",
    GUEST_CSUM: "the card takes frames whose checksum is not computed yet",
    MTU: "the MTU is told",
    MAC: "the MAC address is told",
    GUEST_TSO4: "the card takes IPv4 TCP segments larger than the MTU",
    GUEST_TSO6: "the card takes IPv6 TCP segments larger than the MTU",
    GUEST_ECN: "such segments may carry ECN",
    HOST_TSO4: "the host cuts large IPv4 TCP segments",
    HOST_TSO6: "the host cuts large IPv6 TCP segments",
    HOST_ECN: "such segments may carry ECN",
    MRG_RXBUF: "a frame may lie in several receive buffers: less memory",
    STATUS: "the card sees whether the carrier is up",
    CTRL_VQ: "a queue for commands to the device",
    CTRL_RX: "the card chooses which frames it gets",
    CTRL_MAC_ADDR: "the card may set its MAC address",
  },
  console: {
    SIZE: "the terminal's size is told",
    MULTIPORT: "several ports beside the console",
    EMERG_WRITE: "output without a queue, for an early panic",
  },
};

/** In a few words; empty for one that is not known here. */
export const featureText = (kind: Kind, name: string): string =>
  DEVICE[kind][name] ?? TRANSPORT[name] ?? "";
