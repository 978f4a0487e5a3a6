/**
 * The virtqueue mirror: how a split ring in card memory reaches the host, in one posted write.
 *
 * The rings themselves stay where the driver put them, in card memory. What the host needs of them is written into
 * its system memory window by the card: for each chain made available one **chain record** in the queue's staging
 * area, and the record's offset in the **mirror ring**. A record is flat: indirect tables and next-links are walked
 * once, on the card, so the host parses a bounded, linear piece of its own memory and can meet no loop at all.
 *
 *     mirror ring (at mirror_address)             chain record (in staging, 16-byte aligned)
 *     0  le16 reserved                            0   CHAIN_RECORD
 *     2  le16 index, counts records, mod 2^16     16  readable_count + writable_count × CHAIN_SEGMENT
 *     4  le32 record offset [queue size]          ..  pushed_length bytes of the device-readable data
 *
 * The used ring has no mirror: the host writes used elements straight into card memory, because there they are read.
 *
 * Rules: a record never wraps round the end of the staging area. The card reuses a record's bytes once the chain's
 * head came back in the used ring. `readable_count` is 0 when all readable bytes were pushed (their addresses are of
 * no use then); otherwise all readable segments are listed, and the first `pushed_length` bytes of them are here.
 *
 * @module
 */
import { layout } from "../layout.ts";
import { address64, le16, le32 } from "../scalar.ts";

export const MIRROR_INDEX_OFFSET = 2;
export const MIRROR_RING_OFFSET = 4;
export const mirrorSize = (queueSize: number): number => MIRROR_RING_OFFSET + 4 * queueSize;
export const RECORD_ALIGN = 16;

export const CHAIN_RECORD = layout({
  /** Index of the chain's first descriptor: what goes into the used ring. */
  head: le16,
  readable_count: le16,
  writable_count: le16,
  reserved: le16,
  /** Total of device-readable bytes in the chain. */
  readable_length: le32,
  pushed_length: le32,
});

/** A piece of card memory: offset in card memory, bytes. */
export const CHAIN_SEGMENT = layout({ address: address64, length: le32, reserved: le32 });
