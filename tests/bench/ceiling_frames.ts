/**
 * The frames that the bridge sends for a disk request, and nothing else of it: how many, of which kinds and sizes.
 *
 * As the virtqueue mirror (card/driver/mirror_writer.ts) and the host's end of it (host/driver/device_queue.ts) lay them
 * out for the requests of the diagnostic OS (card/machine/diag/os/block.ts). From the card, for all requests that it
 * starts together: their chain records, ring entries and index in one posted write, and a message; a record larger than
 * a posted write goes in pieces of its own before that. From the host: the data, cut at the largest posted write, and
 * for all requests that it serves together their used elements, the index and a doorbell in one posted write.
 *
 * Who sends fills in what the other end needs to do its part: where a record lies, which sector it means, the indices,
 * and of a read the data. All else stays as it is in the outgoing batch: to fill that is the work of a device or a
 * driver. Who receives copies the bytes into memory, which is what a posted write is.
 *
 * @module
 */
import {
  address64,
  le16,
  le32,
  MESSAGE,
  recordHeaderSize,
  recordSize,
  type Requester,
  SpanList,
  viewOf,
  virtioBlock,
  VIRTQ_USED_ELEM,
} from "../../protocol/mod.ts";
import {
  addRing,
  CARD_INDEX,
  DATA,
  HOST_INDEX,
  HOST_RING,
  INDEX,
  type Load,
  QUEUE,
  REGISTERS,
  RING_ENTRY,
  SEGMENT,
  STAGING,
  USED_RING,
} from "./ceiling_layout.ts";

const { REQUEST, SECTOR_SIZE } = virtioBlock;
const DOORBELL = 4;
/** The mirror goes back to the beginning of its staging area after so many bytes, if what is there was served. */
const STAGING_NEAR = 2 ** 20;
const MIRROR = { address: HOST_RING, entry: RING_ENTRY, size: QUEUE };
const USED = { address: USED_RING, entry: VIRTQ_USED_ELEM.size, size: QUEUE };

/** What a load's records are like: bytes of header and segments, of what is pushed behind them, and of all of it. */
export function recordOf({ write, bytes }: Load) {
  const writable = write ? 1 : Math.ceil(bytes / SEGMENT) + 1;
  const pushed = REQUEST.size + (write ? bytes : 0);
  return { header: recordHeaderSize(writable), pushed, size: recordSize(writable, pushed) };
}

/** What the card sends. */
export class RequestFrames {
  readonly #link: Requester;
  readonly #spans = new SpanList();
  /** Requests sent, mod 2^16. */
  #index = 0;
  #load: Load = { write: false, bytes: SECTOR_SIZE, depth: 1, random: false, places: 1 };
  #record = recordOf(this.#load);
  /** Records at the host. */
  #staging = { address: STAGING, entry: 0, size: 1 };
  /** The next one of a load that goes from place to place. */
  #next = 0;

  constructor(link: Requester) {
    this.#link = link;
  }

  use(load: Load): void {
    this.#load = load;
    this.#record = recordOf(load);
    const { size: entry } = this.#record;
    const size = QUEUE * entry <= STAGING_NEAR ? QUEUE : load.depth;
    this.#staging = { address: STAGING, entry, size };
    this.#next = 0;
  }

  /** Sends `count` requests, or as many of them as the link takes now; returns how many. */
  send(count: number): number {
    const { maxPayload } = this.#link;
    const { size } = this.#record;
    const large = size + RING_ENTRY + INDEX > maxPayload;
    const most = large ? QUEUE : Math.floor((maxPayload - INDEX) / (size + RING_ENTRY));
    let sent = 0;
    while (sent < count && this.#link.writable) {
      let now = Math.min(count - sent, most);
      if (large) now = this.#sendRecords(now);
      this.#sendIndex(now, large ? 0 : now);
      sent += now;
    }
    return sent;
  }

  /** Records that a posted write cannot hold: header first, then the data in pieces. */
  #sendRecords(count: number): number {
    const { maxPayload } = this.#link;
    const { header, pushed } = this.#record;
    let sent = 0;
    while (sent < count && this.#link.writable) {
      const at = STAGING + this.#offset(sent);
      this.#open(at, header);
      for (let done = 0; done < pushed; done += maxPayload) {
        const place = this.#open(at + header + done, Math.min(maxPayload, pushed - done));
        if (done === 0) this.#fill(viewOf(place), 0);
      }
      sent++;
    }
    return sent;
  }

  /** `records` of `count` requests are not there yet. */
  #sendIndex(count: number, records: number): void {
    const spans = this.#spans;
    const { header, size } = this.#record;
    spans.clear();
    if (records > 0) addRing(spans, this.#staging, this.#index, records);
    addRing(spans, MIRROR, this.#index, count);
    spans.add(HOST_INDEX, INDEX);
    const view = viewOf(this.#link.openWrite(spans.spans()));
    for (let i = 0; i < records; i++) this.#fill(view, i * size + header);
    for (let i = 0; i < count; i++) {
      le32.set(view, records * size + i * RING_ENTRY, this.#offset(i));
    }
    this.#index = (this.#index + count) & 0xffff;
    le16.set(view, view.byteLength - INDEX, this.#index);
    this.#link.message(MESSAGE.msi, 1);
  }

  /** Of the record of the request that is `ahead` of the next one, in staging. */
  #offset(ahead: number): number {
    const { entry, size } = this.#staging;
    return entry * ((this.#index + ahead) % size);
  }

  /** Of a request's header, which begins `at`, what the host needs of it. */
  #fill(view: DataView, at: number): void {
    const { bytes, random, places } = this.#load;
    const place = random ? Math.floor(Math.random() * places) : this.#next++ % places;
    address64.set(view, at + REQUEST.at.sector, place * bytes / SECTOR_SIZE);
  }

  #open(address: number, length: number): Uint8Array {
    this.#spans.clear();
    this.#spans.add(address, length);
    return this.#link.openWrite(this.#spans.spans());
  }
}

/** Puts data of a read, from its byte number `at` on, into its place in the outgoing batch. */
export type Fill = (into: Uint8Array, at: number) => void;

/** What the host sends. */
export class AnswerFrames {
  readonly #link: Requester;
  readonly #spans = new SpanList();
  #load: Pick<Load, "write" | "bytes" | "depth"> = { write: false, bytes: 0, depth: 1 };
  /** Requests answered, and those of them that the card knows of, mod 2^16. */
  #answered = 0;
  #published = 0;

  constructor(link: Requester) {
    this.#link = link;
  }

  use(load: Load): void {
    this.#load = load;
  }

  get answered(): number {
    return this.#answered;
  }

  /** Data and status of one request; without `fill` the data are what they are. */
  answer(fill?: Fill): void {
    const { maxPayload } = this.#link;
    const { write, bytes, depth } = this.#load;
    const data = write ? 0 : bytes;
    const length = data + 1;
    const address = DATA + (this.#answered % depth) * bytes;
    const spans = this.#spans;
    for (let at = 0; at < length;) {
      const start = at;
      const end = Math.min(length, at + maxPayload);
      spans.clear();
      // Data and status lie apart, and so do the segments of the data.
      while (at < end) {
        const next = at === data ? length : Math.min(end, data, at + SEGMENT);
        spans.add(address + at, next - at);
        at = next;
      }
      const place = this.#link.openWrite(spans.spans());
      if (fill !== undefined && start < data) fill(place.subarray(0, data - start), start);
    }
    this.#answered = (this.#answered + 1) & 0xffff;
  }

  /** Tells the card of all that was answered. */
  publish(): void {
    const count = (this.#answered - this.#published) & 0xffff;
    if (count === 0) return;
    const spans = this.#spans;
    spans.clear();
    addRing(spans, USED, this.#published, count);
    spans.add(CARD_INDEX, INDEX);
    spans.add(REGISTERS, DOORBELL);
    const place = this.#link.openWrite(spans.spans());
    this.#published = this.#answered;
    le16.set(viewOf(place), place.length - DOORBELL - INDEX, this.#published);
  }
}
