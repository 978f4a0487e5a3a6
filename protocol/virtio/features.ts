/**
 * Feature bits that belong to no device type, and sets of them (virtio 1.3 §2.2, §6).
 *
 * A set is a bigint of 64 bits; a bit is its number.
 *
 * @module
 */
import { DriverError } from "../errors.ts";

/** Bit numbers (§6). */
export const FEATURE = {
  NOTIFY_ON_EMPTY: 24,
  ANY_LAYOUT: 27,
  /** VIRTIO_F_INDIRECT_DESC: descriptors may refer to tables of descriptors. */
  INDIRECT_DESC: 28,
  /** VIRTIO_F_EVENT_IDX: used_event and avail_event instead of flags. */
  EVENT_IDX: 29,
  /** VIRTIO_F_VERSION_1: not legacy. */
  VERSION_1: 32,
  ACCESS_PLATFORM: 33,
  RING_PACKED: 34,
  IN_ORDER: 35,
  ORDER_PLATFORM: 36,
  SR_IOV: 37,
  NOTIFICATION_DATA: 38,
  NOTIF_CONFIG_DATA: 39,
  /** VIRTIO_F_RING_RESET: one queue may be reset by itself. */
  RING_RESET: 40,
  ADMIN_VQ: 41,
} as const;

/** The set of the given bits. */
export function featureSet(...bits: readonly number[]): bigint {
  return bits.reduce((set, bit) => set | (1n << BigInt(bit)), 0n);
}

export function hasFeature(set: bigint, bit: number): boolean {
  return ((set >> BigInt(bit)) & 1n) === 1n;
}

/** What host and card implement, and so what the host driver offers on top of a device's own bits. */
export const TRANSPORT_FEATURES: bigint = featureSet(
  FEATURE.VERSION_1,
  FEATURE.INDIRECT_DESC,
  FEATURE.EVENT_IDX,
);

/** Bits 24 to 49: queues, negotiation, and reserved; all others belong to the device type (§2.2). */
const TRANSPORT_BITS = (1n << 50n) - (1n << 24n);

/**
 * What a card offers on to a driver: the transport ends at the card, so of the host's transport bits only those that a
 * card implements.
 */
export function withKnownTransport(offered: bigint): bigint {
  return offered & (TRANSPORT_FEATURES | ~TRANSPORT_BITS);
}

/**
 * Checks what a driver accepted (§2.2.1, §6.1).
 * @throws {DriverError} `features`: a bit that was not offered, or VERSION_1 missing
 */
export function checkAccepted(offered: bigint, accepted: bigint): void {
  const extra = accepted & ~offered;
  if (extra !== 0n) {
    throw new DriverError(
      "features",
      `Cannot accept features: 0x${extra.toString(16)} not offered`,
    );
  }
  if (!hasFeature(accepted, FEATURE.VERSION_1)) {
    throw new DriverError("features", "Cannot accept features: VERSION_1 missing");
  }
}
