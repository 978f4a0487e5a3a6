/**
 * What a driver can get wrong, as codes to count and match on. Numbers travel in the host page (`queue fault`).
 *
 * @module
 */
export const DRIVER_FAULT = {
  none: 0,
  /** A descriptor index outside the table. */
  "chain-index": 1,
  /** A chain longer than the queue size: a loop. */
  "chain-loop": 2,
  /** A device-readable descriptor after a device-writable one (virtio 1.3 §2.7.4.2). */
  "chain-order": 3,
  /** A descriptor whose address or length leaves card memory. */
  "chain-address": 4,
  /** A chain of more than 2^32 - 1 bytes (§2.7.4.2). */
  "chain-length": 5,
  /** An indirect table inside another, not negotiated, of a bad length, or combined with NEXT (§2.7.5.3). */
  "chain-indirect": 6,
  /** The available index is ahead of the used one by more than the queue size. */
  "available-index": 7,
  /** The same head made available twice before it was used. */
  "head-in-flight": 8,
  /** A request too short or of the wrong shape for its device type. */
  request: 9,
  /** A queue size, address or enable that the rules forbid, or a change of a queue that is enabled. */
  "queue-setup": 10,
  /** A feature accepted that was not offered, or a required one missing. */
  features: 11,
  /** A mirror record that contradicts itself: of a broken card process, or under a driver that writes its used ring. */
  record: 12,
  /** A device status that takes a bit back or skips a step (§2.1.1, §3.1.1). */
  status: 13,
} as const;

export type DriverFault = keyof typeof DRIVER_FAULT;
