/**
 * The split virtqueue: layouts, sizes, alignments and flags of its three parts (virtio 1.3 §2.7).
 *
 *     descriptor table   16-byte aligned   VIRTQ_DESC [size]
 *     available ring     2-byte aligned    le16 flags, le16 idx, le16 head [size],           le16 used_event
 *     used ring          4-byte aligned    le16 flags, le16 idx, VIRTQ_USED_ELEM [size],     le16 avail_event
 *
 * The driver writes descriptor table and available ring, the device the used ring. Addresses here are byte offsets in
 * card memory.
 *
 * @module
 */
import { DriverError } from "../errors.ts";
import { layout } from "../layout.ts";
import { address64, le16, le32 } from "../scalar.ts";

/** §2.7.5. */
export const VIRTQ_DESC = layout({
  addr: address64,
  len: le32,
  flags: le16,
  next: le16,
});

/** `flags` of a descriptor. */
export const DESC_F = {
  /** The chain continues at `next`. */
  NEXT: 1,
  /** Device-writable; otherwise device-readable. */
  WRITE: 2,
  /** The buffer holds a table of descriptors (§2.7.5.3). */
  INDIRECT: 4,
} as const;

/** Fixed head of both rings (§2.7.6, §2.7.8); `idx` counts entries ever put in, mod 2^16. */
export const VIRTQ_RING = layout({ flags: le16, idx: le16 });

/** One entry of the used ring (§2.7.8): head of the chain, bytes the device wrote. */
export const VIRTQ_USED_ELEM = layout({ id: le32, len: le32 });

/** `flags` of the available ring: the driver wants no interrupt (without EVENT_IDX only). */
export const AVAIL_F_NO_INTERRUPT = 1;
/** `flags` of the used ring: the device wants no notification (without EVENT_IDX only). */
export const USED_F_NO_NOTIFY = 1;

/** Largest queue size of a split virtqueue (§2.7). */
const QUEUE_SIZE_LIMIT = 32768;

/** Offset of an entry from the start of its ring; `slot` is the index mod queue size. */
export const availableEntry = (slot: number): number => VIRTQ_RING.size + 2 * slot;
export const usedEntry = (slot: number): number => VIRTQ_RING.size + VIRTQ_USED_ELEM.size * slot;

/** Offsets of the event indices, behind the last entry: `used_event` in the available ring, `avail_event` in the used. */
export const usedEventOffset = (size: number): number => availableEntry(size);
export const availEventOffset = (size: number): number => usedEntry(size);

/** Bytes of each part for a queue of `size`, event index included. */
export const descriptorTableSize = (size: number): number => VIRTQ_DESC.size * size;
export const availableRingSize = (size: number): number => usedEventOffset(size) + 2;
export const usedRingSize = (size: number): number => availEventOffset(size) + 2;

const DESCRIPTOR_TABLE_ALIGN = 16;
const AVAILABLE_RING_ALIGN = 2;
const USED_RING_ALIGN = 4;

/** Where a driver put one queue: number of entries, and byte offsets in card memory. */
export interface SplitRing {
  readonly size: number;
  readonly descriptorTable: number;
  readonly availableRing: number;
  readonly usedRing: number;
}

/**
 * Checks what the driver set up, so that everything after may trust size and places (not contents).
 * @throws {DriverError} `queue-setup`: size no power of two, a part misaligned or outside card memory
 */
export function checkSplitRing(ring: SplitRing, memorySize: number): void {
  const { size } = ring;
  const powerOfTwo = Number.isInteger(size) && (size & (size - 1)) === 0;
  if (!(powerOfTwo && size >= 1 && size <= QUEUE_SIZE_LIMIT)) {
    throw new DriverError(
      "queue-setup",
      `Cannot set up queue: size ${size}, wanted a power of two up to ${QUEUE_SIZE_LIMIT}`,
    );
  }
  const part = (name: string, at: number, align: number, length: number): void => {
    if (!(at >= 0 && at % align === 0 && at + length <= memorySize)) {
      throw new DriverError(
        "queue-setup",
        `Cannot set up queue: ${name} at ${at}, wanted ${length} bytes aligned to ${align} inside ${memorySize}`,
      );
    }
  };
  part("descriptor table", ring.descriptorTable, DESCRIPTOR_TABLE_ALIGN, descriptorTableSize(size));
  part("available ring", ring.availableRing, AVAILABLE_RING_ALIGN, availableRingSize(size));
  part("used ring", ring.usedRing, USED_RING_ALIGN, usedRingSize(size));
}
