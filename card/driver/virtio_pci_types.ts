/**
 * What a virtio-pci function is told of its device, and what it tells of its driver.
 *
 * @module
 */
import type { DriverError, SplitRing } from "../../protocol/mod.ts";

/** A device as the host offers it. */
export interface VirtioPciOffer {
  readonly name: string;
  /** Virtio device type (§5). */
  readonly type: number;
  /** Largest size of each queue, a power of two; 0 is a queue that does not exist. At most 64 queues. */
  readonly queueSizes: readonly number[];
  /** Offered as it is: nothing is added here. */
  readonly features: bigint;
  /** Bytes of device configuration space; fixed for the life of the function. */
  readonly configLength: number;
  /** Device configuration space as it is now; read at once, never kept. */
  deviceConfig(): Uint8Array;
  /** Changes whenever those bytes changed. */
  configGeneration(): number;
}

/** What the driver does. Called from register writes: must not throw. */
export interface VirtioPciEvents {
  /** FEATURES_OK was accepted with these features; comes before the status that says so. */
  featuresAccepted(features: bigint): void;
  /** The driver enabled a queue; it stays as it is until reset. */
  queueEnabled(queue: number, ring: SplitRing): void;
  /** The status byte changed, other than by reset and to DRIVER_OK. */
  statusChanged(status: number): void;
  /**
   * The status byte is now `status`, with DRIVER_OK: the device is live. Buffers may have been made available before,
   * without notification, so look at every enabled queue once.
   */
  driverOk(status: number): void;
  /** The driver asks for a reset. Answer with `resetDone` when nothing touches its memory any more. */
  resetRequested(): void;
  /** Available buffer notification for an enabled queue of a live device. */
  notified(queue: number): void;
  /** A write to device configuration space; before DRIVER_OK too, but not while a reset is under way. */
  configWritten(offset: number, width: 1 | 2 | 4, value: number): void;
  /** The driver broke the rules: fault `features` (refused), `queue-setup` or `status` (the device needs a reset now). */
  refused(error: DriverError, queue: number): void;
}
