/**
 * A slot of the card page, read and checked: a device as the host offers it.
 *
 * - **Invariant:** what comes out can be built: counts and lengths within their limits, queue sizes powers of two,
 *   bus addresses below 2^52, staging large enough for any one chain.
 *
 * @module
 */
import { le16, minStagingLength, mirrorSize, page, viewOf } from "../../protocol/mod.ts";
import { BootRefused } from "../machine/types.ts";
import type { MirrorRow } from "./mirror.ts";

const { CARD_QUEUE, CARD_SLOT, DEVICE_CONFIG_OFFSET, QUEUES_OFFSET } = page;
const ADDRESS_END = 2 ** 52;
/** PCI device IDs of virtio end at 0x107f (virtio 1.3 §4.1.2). */
const TYPE_MAX = 0x3f;
/** POST code of a device page that contradicts itself. */
const REFUSED = "1E";

/** One queue of the offer: its largest size (0: there is no such queue), and its mirror in host memory. */
export interface QueueOffer extends MirrorRow {
  readonly sizeMax: number;
}

/** What the host may change later is read through the view: configuration bytes and generation, `msiEvent`. */
export interface SlotOffer {
  readonly type: number;
  readonly features: bigint;
  readonly queues: readonly QueueOffer[];
  /** Device configuration space; a view of the card page. */
  readonly deviceConfig: Uint8Array;
  /** Counters of the slot as they are now. */
  state(): ReturnType<typeof CARD_SLOT.read>;
}

/** The device in slot `slot`, undefined if it is empty. @throws {BootRefused} if the page contradicts itself */
export function readCardSlot(cardPage: Uint8Array, slot: number): SlotOffer | undefined {
  const start = page.slotOffset(slot);
  const bytes = cardPage.subarray(start, start + page.SLOT_SIZE);
  const view = viewOf(bytes);
  const { type, queue_count, config_length, features_offered } = CARD_SLOT.read(view);
  if (type === 0) return undefined;
  if (
    type > TYPE_MAX || queue_count > page.MAX_QUEUES || config_length > page.DEVICE_CONFIG_SIZE
  ) {
    throw new BootRefused(
      REFUSED,
      `Cannot read slot ${slot}: virtio type ${type}, ${queue_count} queues, ` +
        `${config_length} bytes of configuration`,
    );
  }
  return {
    type,
    features: features_offered,
    queues: Array.from({ length: queue_count }, (_, queue) => readQueue(view, slot, queue)),
    deviceConfig: bytes.subarray(DEVICE_CONFIG_OFFSET, DEVICE_CONFIG_OFFSET + config_length),
    state: () => CARD_SLOT.read(view),
  };
}

function readQueue(view: DataView, slot: number, queue: number): QueueOffer {
  const at = QUEUES_OFFSET + queue * CARD_QUEUE.size;
  const row = CARD_QUEUE.read(view, at);
  const size = row.size_max;
  const good = size === 0 ||
    size <= page.MAX_QUEUE_SIZE && (size & (size - 1)) === 0 &&
      row.staging_length >= minStagingLength(size) &&
      row.staging_address + row.staging_length <= ADDRESS_END &&
      row.mirror_address + mirrorSize(size) <= ADDRESS_END;
  if (!good) {
    throw new BootRefused(
      REFUSED,
      `Cannot read slot ${slot} queue ${queue}: size ${size}, staging ${row.staging_length} bytes ` +
        `at 0x${row.staging_address.toString(16)}, mirror at 0x${row.mirror_address.toString(16)}`,
    );
  }
  return {
    sizeMax: size,
    mirrorAddress: row.mirror_address,
    stagingAddress: row.staging_address,
    stagingLength: row.staging_length,
    pushLimit: row.push_limit,
    msiEvent: () => le16.get(view, at + CARD_QUEUE.at.msi_event),
  };
}
