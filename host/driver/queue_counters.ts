/**
 * Running totals of a device's queues, over all cards and boots since the device was made.
 *
 * @module
 */

/** Counted by {@linkcode MirrorQueue} and the slot; read by metrics. */
export interface QueueCounters {
  /** Chains taken from the driver. */
  chains: number;
  /** Device-readable bytes of those. */
  bytesFromDriver: number;
  /** Bytes written into chains that were given back. */
  bytesToDriver: number;
  /** Chains given back. */
  used: number;
  /** Times that an interrupt of the card found chains in a queue: available buffer notifications. */
  notifications: number;
  /** Used buffer notifications that were sent: doorbells behind used indices. */
  doorbells: number;
}

export const queueCounters = (): QueueCounters => ({
  chains: 0,
  bytesFromDriver: 0,
  bytesToDriver: 0,
  used: 0,
  notifications: 0,
  doorbells: 0,
});
