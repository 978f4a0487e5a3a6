/**
 * The features that the devices offer, and those that they do not, by number (virtio 1.3 §5.1.3, §5.2.3, §5.3.3, §6).
 *
 * `features_test.ts` holds the devices to the first lists; a clause may be excused by the second only as long as no
 * device offers what it names.
 *
 * @module
 */

/** INDIRECT_DESC, EVENT_IDX, VERSION_1. */
export const TRANSPORT: readonly number[] = [28, 29, 32];

/** SIZE_MAX, SEG_MAX, BLK_SIZE, FLUSH, TOPOLOGY, CONFIG_WCE; a disk that is read-only has RO, others what they can. */
export const BLOCK: readonly number[] = [1, 2, 6, 9, 10, 11];
export const BLOCK_READ_ONLY: readonly number[] = [5];
/** DISCARD, WRITE_ZEROES. */
export const BLOCK_WRITABLE: readonly number[] = [13, 14];

/** MTU, MAC, MRG_RXBUF, STATUS, CTRL_VQ, CTRL_RX, CTRL_MAC_ADDR. */
export const NET: readonly number[] = [3, 5, 15, 16, 17, 18, 23];
/** CSUM, GUEST_CSUM. */
export const NET_CHECKSUM: readonly number[] = [0, 1];
/** GUEST_TSO4, GUEST_TSO6, GUEST_ECN, HOST_TSO4, HOST_TSO6, HOST_ECN. */
export const NET_SEGMENTATION: readonly number[] = [7, 8, 9, 11, 12, 13];

/** SIZE, MULTIPORT, EMERG_WRITE. */
export const CONSOLE: readonly number[] = [0, 1, 2];

/** All that a device of a type may offer; 0 stands for the transport. */
export const OFFERED: Readonly<Record<number, readonly number[]>> = {
  0: TRANSPORT,
  1: [...NET, ...NET_CHECKSUM, ...NET_SEGMENTATION],
  2: [...BLOCK, ...BLOCK_READ_ONLY, ...BLOCK_WRITABLE],
  3: CONSOLE,
};

/** Device type (0: any) and bit of features that clauses ask for and no device offers. */
export const ABSENT = {
  VIRTIO_F_RING_PACKED: [0, 34],
  VIRTIO_F_IN_ORDER: [0, 35],
  VIRTIO_F_NOTIFICATION_DATA: [0, 38],
  VIRTIO_F_RING_RESET: [0, 40],
  VIRTIO_F_ADMIN_VQ: [0, 41],
  VIRTIO_NET_F_CTRL_VLAN: [1, 19],
  VIRTIO_NET_F_CTRL_RX_EXTRA: [1, 20],
  VIRTIO_NET_F_GUEST_ANNOUNCE: [1, 21],
  VIRTIO_NET_F_MQ: [1, 22],
  VIRTIO_NET_F_HASH_TUNNEL: [1, 51],
  VIRTIO_NET_F_NOTF_COAL: [1, 53],
  VIRTIO_NET_F_HASH_REPORT: [1, 57],
  VIRTIO_NET_F_RSS: [1, 60],
  VIRTIO_NET_F_RSC_EXT: [1, 61],
  VIRTIO_NET_F_SPEED_DUPLEX: [1, 63],
  VIRTIO_BLK_F_LIFETIME: [2, 15],
  VIRTIO_BLK_F_SECURE_ERASE: [2, 16],
  VIRTIO_BLK_F_ZONED: [2, 17],
} as const satisfies Readonly<Record<string, readonly [type: number, bit: number]>>;
export type AbsentFeature = keyof typeof ABSENT;
