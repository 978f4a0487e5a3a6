/**
 * The posting half of the virtqueue mirror: chain records, their mirror ring entries, the mirror index and MSI, as one
 * posted write for as many chains as fit (layouts: protocol/virtio/mirror.ts).
 *
 * Spans of a posted write are applied in order and posted writes in the order they were posted, so the host never sees
 * an index before the entry, nor an entry before the record. Pushed bytes are copied once, from card memory into the
 * outgoing batch.
 *
 * **Budget:** 0.15 us a chain (tests/bench/README.md, "Budgets").
 *
 * @module
 */
import {
  advance,
  type ChainWalker,
  encodeRecordHeader,
  le16,
  le32,
  MAX_SPANS,
  MIRROR_INDEX_OFFSET,
  MIRROR_RING_OFFSET,
  past,
  type RecordHeader,
  recordHeaderSize,
  recordSize,
  type Requester,
  SpanList,
  viewOf,
} from "../../protocol/mod.ts";

/** A queue's row of the card page, as the host wrote it. Addresses are bus addresses, lengths bytes. */
export interface MirrorRow {
  readonly mirrorAddress: number;
  readonly stagingAddress: number;
  readonly stagingLength: number;
  /** Device-readable bytes of one chain to push at most. */
  readonly pushLimit: number;
  /** Reads `msi_event`, which the host moves. */
  msiEvent(): number;
}

export interface MirrorWriterOptions {
  readonly requester: Requester;
  readonly row: MirrorRow;
  readonly queueSize: number;
  /** Mirror index to begin with. */
  readonly index: number;
  sendMsi(): void;
}

/** A record that waits for the next posted write. */
interface Draft extends RecordHeader {
  /** Offset in staging. */
  offset: number;
  /** Bytes in staging; 0 when the record itself was posted already, because it is larger than a posted write. */
  size: number;
  /** Number of the first readable segment, and of the first one listed. */
  readable: number;
  listed: number;
}

const RING_ENTRY = 4;
const INDEX = 2;
/** Runs of records in one posted write: the ring entries take up to two spans more, the index one. */
const MAX_RUNS = MAX_SPANS - 3;
/** Bytes of a large record that leave while the rest of it is copied: the host is awake when that comes. */
const EARLY = 256 * 1024;
/** Below this, a loop copies faster than a view is made. */
const SHORT_COPY = 48;

export class MirrorWriter {
  readonly #requester: Requester;
  readonly #row: MirrorRow;
  readonly #queueSize: number;
  readonly #sendMsi: () => void;
  readonly #spans = new SpanList();
  readonly #drafts: Draft[] = [];
  #count = 0;
  /** Segments of the walker that the drafts refer to. */
  #segments = 0;
  /** Bytes and runs of the records drafted; where the last run ends in staging. */
  #bytes = 0;
  #runs = 0;
  #runEnd = -1;
  #index: number;
  #msiEvent: number;
  /** Header and segments of a record that is larger than a posted write. */
  #large: Uint8Array | undefined;
  /** Next byte that `#gather` copies: segment number, and bytes of it that are done. */
  #from = 0;
  #done = 0;

  constructor(options: MirrorWriterOptions) {
    this.#requester = options.requester;
    this.#row = options.row;
    this.#queueSize = options.queueSize;
    this.#index = options.index;
    this.#sendMsi = () => options.sendMsi();
    this.#msiEvent = options.row.msiEvent();
  }

  /** Mirror index as last posted. */
  get index(): number {
    return this.#index;
  }

  /** Where the next chain's segments may be stored, in a walker with room for twice the queue size. */
  nextBase(memory: Uint8Array, walker: ChainWalker): number {
    if (this.#segments > this.#queueSize) this.post(memory, walker);
    return this.#segments;
  }

  /** Bytes to push of the chain just walked: all of it, or a prefix that lets the record fit in half the staging. */
  pushable(walker: ChainWalker): number {
    const { readableLength, readableCount, writableCount } = walker;
    const { pushLimit, stagingLength } = this.#row;
    const half = stagingLength / 2;
    if (readableLength <= pushLimit && recordSize(writableCount, readableLength) <= half) {
      return readableLength;
    }
    const room = Math.floor(half) - recordHeaderSize(readableCount + writableCount);
    return Math.max(0, Math.min(pushLimit, readableLength, room));
  }

  /** Bytes of staging that a record of the chain just walked takes. */
  recordSize(walker: ChainWalker, pushed: number): number {
    return recordSize(listedReadable(walker, pushed) + walker.writableCount, pushed);
  }

  /** Takes the chain just walked, its segments at `base`, for the record at `offset` of staging. */
  add(
    memory: Uint8Array,
    walker: ChainWalker,
    base: number,
    head: number,
    pushed: number,
    offset: number,
  ): void {
    const listed = listedReadable(walker, pushed);
    const size = this.recordSize(walker, pushed);
    const large = size + RING_ENTRY + INDEX > this.#requester.maxPayload;
    const room = this.#requester.maxPayload - this.#bytes - RING_ENTRY * (this.#count + 1) - INDEX;
    if ((large ? 0 : size) > room || this.#runs === MAX_RUNS) this.post(memory, walker);
    const draft = this.#drafts[this.#count++] ??= newDraft();
    draft.head = head;
    draft.readableCount = listed;
    draft.writableCount = walker.writableCount;
    draft.readableLength = walker.readableLength;
    draft.pushedLength = pushed;
    draft.offset = offset;
    draft.size = large ? 0 : size;
    draft.readable = base;
    draft.listed = base + walker.readableCount - listed;
    this.#segments = base + walker.readableCount + walker.writableCount;
    if (large) {
      this.#postLarge(memory, walker, draft);
      return;
    }
    this.#bytes += size;
    if (offset !== this.#runEnd) this.#runs++;
    this.#runEnd = offset + size;
  }

  /** Posts what was added, then the index; then MSI if the host wants one. */
  post(memory: Uint8Array, walker: ChainWalker): void {
    const count = this.#count;
    if (count === 0) return;
    const { mirrorAddress, stagingAddress } = this.#row;
    const spans = this.#spans;
    spans.clear();
    let end = -1;
    for (let i = 0; i < count; i++) {
      const { offset, size } = this.#drafts[i]!;
      if (size === 0) continue;
      if (offset === end) spans.extend(size);
      else spans.add(stagingAddress + offset, size);
      end = offset + size;
    }
    const slot = this.#index & (this.#queueSize - 1);
    const entries = Math.min(count, this.#queueSize - slot);
    const ring = mirrorAddress + MIRROR_RING_OFFSET;
    spans.add(ring + RING_ENTRY * slot, RING_ENTRY * entries);
    if (entries < count) spans.add(ring, RING_ENTRY * (count - entries));
    spans.add(mirrorAddress + MIRROR_INDEX_OFFSET, INDEX);
    const place = this.#requester.openWrite(spans.spans());
    const view = viewOf(place);
    let at = 0;
    for (let i = 0; i < count; i++) {
      const draft = this.#drafts[i]!;
      if (draft.size === 0) continue;
      const end = at + draft.size;
      at = encodeRecordHeader(view, at, draft, walker, draft.listed);
      this.#startGather(draft);
      this.#gather(memory, walker, place, at, draft.pushedLength);
      place.fill(0, at + draft.pushedLength, end);
      at = end;
    }
    for (let i = 0; i < count; i++, at += RING_ENTRY) le32.set(view, at, this.#drafts[i]!.offset);
    this.#index = advance(this.#index, count);
    le16.set(view, at, this.#index);
    this.#count =
      this.#segments =
      this.#bytes =
      this.#runs =
        0;
    this.#runEnd = -1;
    this.#msiEvent = this.#row.msiEvent();
    if (past(this.#msiEvent, this.#index)) this.#sendMsi();
  }

  /** Posts the index alone: where this mirror begins. */
  postIndex(): void {
    const place = this.#requester.openWrite([
      { address: this.#row.mirrorAddress + MIRROR_INDEX_OFFSET, length: INDEX },
    ]);
    le16.set(viewOf(place), 0, this.#index);
  }

  /**
   * To be called when the host may have moved `msi_event`. If the index was past the new one before the move arrived
   * here, the host could not know and waits: MSI at once.
   */
  msiEventChanged(): void {
    const event = this.#row.msiEvent();
    if (event === this.#msiEvent) return;
    this.#msiEvent = event;
    if (past(event, this.#index)) this.#sendMsi();
  }

  #postLarge(memory: Uint8Array, walker: ChainWalker, draft: Draft): void {
    const large = this.#large ??= new Uint8Array(recordHeaderSize(this.#queueSize));
    const address = this.#row.stagingAddress + draft.offset;
    const header = encodeRecordHeader(viewOf(large), 0, draft, walker, draft.listed);
    this.#requester.postWrite(address, large.subarray(0, header));
    this.#startGather(draft);
    let early = EARLY;
    for (let done = 0; done < draft.pushedLength;) {
      if (done >= early) {
        this.#requester.flush();
        early = Infinity;
      }
      const length = Math.min(this.#requester.maxPayload, draft.pushedLength - done);
      this.#spans.clear();
      this.#spans.add(address + header + done, length);
      const place = this.#requester.openWrite(this.#spans.spans());
      this.#gather(memory, walker, place, 0, length);
      done += length;
    }
  }

  #startGather(draft: Draft): void {
    this.#from = draft.readable;
    this.#done = 0;
  }

  /** Copies the next `length` device-readable bytes from card memory to `into` at `at`. */
  #gather(
    memory: Uint8Array,
    walker: ChainWalker,
    into: Uint8Array,
    at: number,
    length: number,
  ): void {
    const end = at + length;
    while (at < end) {
      const start = walker.addresses[this.#from]! + this.#done;
      const left = walker.lengths[this.#from]! - this.#done;
      const count = Math.min(left, end - at);
      if (count < SHORT_COPY) {
        for (let i = 0; i < count; i++) into[at + i] = memory[start + i]!;
      } else {
        into.set(memory.subarray(start, start + count), at);
      }
      at += count;
      if (count === left) {
        this.#from++;
        this.#done = 0;
      } else {
        this.#done += count;
      }
    }
  }
}

/** Readable segments that the record lists: none when nothing is left to fetch. */
function listedReadable(walker: ChainWalker, pushed: number): number {
  return pushed < walker.readableLength ? walker.readableCount : 0;
}

function newDraft(): Draft {
  return {
    head: 0,
    readableCount: 0,
    writableCount: 0,
    readableLength: 0,
    pushedLength: 0,
    offset: 0,
    size: 0,
    readable: 0,
    listed: 0,
  };
}
