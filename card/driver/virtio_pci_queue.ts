/**
 * The queue registers of a virtio-pci function, one object a queue (virtio 1.3 §4.1.4.3 and §4.1.5.1.3).
 *
 * Invariant: once a queue is enabled its registers do not change until the device is reset, so whoever was told of the
 * rings can keep what it was told.
 *
 * @module
 */
import {
  address64,
  checkSplitRing,
  DriverError,
  le32,
  type SplitRing,
} from "../../protocol/mod.ts";

/** `queue_desc`, `queue_driver` and `queue_device`: 64 bits each, written as halves. */
const ADDRESSES_SIZE = 24;

export class QueueRegisters {
  /** Largest size offered; 0 is a queue that does not exist. */
  sizeMax: number;
  size: number;
  enabled = false;
  readonly #addresses = new DataView(new ArrayBuffer(ADDRESSES_SIZE));

  constructor(sizeMax: number) {
    this.sizeMax = sizeMax;
    this.size = sizeMax;
  }

  /** Another largest size, for a queue that is set up from now on; one that is enabled stays as it is. */
  offer(sizeMax: number): void {
    this.sizeMax = sizeMax;
    if (!this.enabled) this.size = Math.min(this.size, sizeMax) || sizeMax;
  }

  reset(): void {
    this.size = this.sizeMax;
    this.enabled = false;
    for (let at = 0; at < ADDRESSES_SIZE; at += 4) le32.set(this.#addresses, at, 0);
  }

  /** Half of a ring address; `at` counts bytes from `queue_desc`. */
  address(at: number): number {
    return le32.get(this.#addresses, at);
  }

  setAddress(at: number, half: number): void {
    le32.set(this.#addresses, at, half);
  }

  /** Takes a size the driver chose. @throws {DriverError} `queue-setup`: the old one stays */
  resize(size: number): void {
    if (size === 0 || size > this.sizeMax || (size & (size - 1)) !== 0) {
      throw new DriverError(
        "queue-setup",
        `Cannot size queue: ${size}, wanted a power of two up to ${this.sizeMax}`,
      );
    }
    this.size = size;
  }

  /** Enables the queue. @throws {DriverError} `queue-setup`: a part of it lies where no ring may */
  enable(memorySize: number): SplitRing {
    const ring: SplitRing = {
      size: this.size,
      descriptorTable: address64.get(this.#addresses, 0),
      availableRing: address64.get(this.#addresses, 8),
      usedRing: address64.get(this.#addresses, 16),
    };
    checkSplitRing(ring, memorySize);
    this.enabled = true;
    return ring;
  }
}
