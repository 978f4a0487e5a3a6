/**
 * Chain records of the virtqueue mirror: encoded by the card from a walked chain, parsed by the host, which trusts
 * nothing in them (layouts and rules: mirror.ts).
 *
 * A record is at most 16 + 16 × queue size bytes and its pushed data, so parsing is bounded and linear. What the host
 * goes on to use (counts, lengths, addresses) is copied out and checked here; only the pushed data stays behind in
 * staging, where the card can still change it.
 *
 * **Budget:** 0.1 us a record (tests/bench/README.md, "Budgets").
 *
 * @module
 */
import { DriverError } from "../errors.ts";
import { address64, le16, le32 } from "../scalar.ts";
import { CHAIN_RECORD, CHAIN_SEGMENT, RECORD_ALIGN } from "./mirror.ts";

const AT = CHAIN_RECORD.at;
const SEGMENT = CHAIN_SEGMENT.at;

/** Bytes of a record before its pushed data. */
export const recordHeaderSize = (segments: number): number =>
  CHAIN_RECORD.size + CHAIN_SEGMENT.size * segments;

/** Bytes that a record takes in staging. */
export const recordSize = (segments: number, pushed: number): number =>
  Math.ceil((recordHeaderSize(segments) + pushed) / RECORD_ALIGN) * RECORD_ALIGN;

/** Least staging for a queue: room for any one chain, without pushed data. */
export const minStagingLength = (queueSize: number): number => recordSize(queueSize, 0);

/** What a record says of its chain. `readableCount` counts listed segments: 0 when all readable bytes are pushed. */
export interface RecordHeader {
  head: number;
  readableCount: number;
  writableCount: number;
  readableLength: number;
  pushedLength: number;
}

/** Segments of card memory by byte offset and length, as two parallel arrays. */
export interface Segments {
  readonly addresses: Float64Array;
  readonly lengths: Uint32Array;
}

/**
 * Writes the header and segments of a record at `at`; the pushed data follow at the offset returned. The segments are
 * `readableCount + writableCount` ones of `from`, starting with number `first`.
 */
export function encodeRecordHeader(
  view: DataView,
  at: number,
  header: RecordHeader,
  from: Segments,
  first: number,
): number {
  le16.set(view, at + AT.head, header.head);
  le16.set(view, at + AT.readable_count, header.readableCount);
  le16.set(view, at + AT.writable_count, header.writableCount);
  le16.set(view, at + AT.reserved, 0);
  le32.set(view, at + AT.readable_length, header.readableLength);
  le32.set(view, at + AT.pushed_length, header.pushedLength);
  const count = header.readableCount + header.writableCount;
  let to = at + CHAIN_RECORD.size;
  for (let i = first; i < first + count; i++, to += CHAIN_SEGMENT.size) {
    address64.set(view, to + SEGMENT.address, from.addresses[i]!);
    le32.set(view, to + SEGMENT.length, from.lengths[i]!);
    le32.set(view, to + SEGMENT.reserved, 0);
  }
  return to;
}

/** A parsed record; reused for one chain after another, its arrays grow to the longest. */
export class ChainRecord implements RecordHeader, Segments {
  head = 0;
  readableCount = 0;
  writableCount = 0;
  readableLength = 0;
  writableLength = 0;
  pushedLength = 0;
  /** Where the pushed data begin in staging. */
  pushedOffset = 0;
  /** Listed readable segments, then writable ones. */
  addresses: Float64Array = new Float64Array(4);
  lengths: Uint32Array = new Uint32Array(4);

  /** Parses the record at `offset` of `staging`. @throws {DriverError} `record`, if anything in it is wrong */
  parse(staging: DataView, offset: number, queueSize: number, memorySize: number): void {
    if (offset % RECORD_ALIGN !== 0 || offset + CHAIN_RECORD.size > staging.byteLength) {
      bad(offset, `staging has ${staging.byteLength} bytes, aligned to ${RECORD_ALIGN}`);
    }
    this.head = le16.get(staging, offset + AT.head);
    const readable = this.readableCount = le16.get(staging, offset + AT.readable_count);
    const writable = this.writableCount = le16.get(staging, offset + AT.writable_count);
    this.readableLength = le32.get(staging, offset + AT.readable_length);
    this.pushedLength = le32.get(staging, offset + AT.pushed_length);
    const count = readable + writable;
    if (this.head >= queueSize || count > queueSize) {
      bad(offset, `head ${this.head} with ${count} segments, queue size ${queueSize}`);
    }
    this.pushedOffset = offset + recordHeaderSize(count);
    if (this.pushedOffset + this.pushedLength > staging.byteLength) {
      bad(offset, `its ${this.pushedLength} pushed bytes leave staging`);
    }
    // All pushed and none listed, or some left to fetch and all listed; nothing in between.
    if (
      this.pushedLength > this.readableLength ||
      (readable === 0) !== (this.pushedLength === this.readableLength)
    ) {
      bad(
        offset,
        `${this.pushedLength} of ${this.readableLength} bytes pushed, ${readable} listed`,
      );
    }
    if (count > this.lengths.length) this.#grow(count);
    let listed = 0;
    let total = 0;
    let at = offset + CHAIN_RECORD.size;
    for (let i = 0; i < count; i++, at += CHAIN_SEGMENT.size) {
      const address = address64.get(staging, at + SEGMENT.address);
      const length = le32.get(staging, at + SEGMENT.length);
      if (length === 0 || !(address + length <= memorySize)) {
        bad(offset, `segment of ${length} bytes at ${address}, card memory ends at ${memorySize}`);
      }
      this.addresses[i] = address;
      this.lengths[i] = length;
      total += length;
      if (i < readable) listed += length;
    }
    if (readable > 0 && listed !== this.readableLength) {
      bad(offset, `lists ${listed} of ${this.readableLength} readable bytes`);
    }
    this.writableLength = total - listed;
    if (this.readableLength + this.writableLength > 0xffff_ffff) {
      bad(offset, `${this.readableLength} + ${this.writableLength} bytes, wanted under 2^32`);
    }
  }

  #grow(count: number): void {
    const capacity = 2 ** Math.ceil(Math.log2(count));
    this.addresses = new Float64Array(capacity);
    this.lengths = new Uint32Array(capacity);
  }
}

function bad(offset: number, found: string): never {
  throw new DriverError("record", `Cannot use chain record at ${offset}: ${found}`);
}
