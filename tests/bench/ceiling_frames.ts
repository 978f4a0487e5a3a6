/**
 * The frames that the bridge sends for a disk request, and nothing else of it: how many, of which kinds and sizes.
 *
 * As the virtqueue mirror (card/driver/mirror_writer.ts) and the host's end of it (host/driver/device_queue.ts) lay them
 * out for the requests of the diagnostic OS (card/machine/diag/os/block.ts). From the card, for all requests that it
 * starts together: their chain records, ring entries and index in one posted write, and a message; a record larger than
 * a posted write goes in pieces of its own before that. From the host: the data, cut at the largest posted write, and
 * for all requests that it serves together their used elements, the index and a doorbell in one posted write.
 *
 * Who sends leaves the bytes as they are in the outgoing batch: to fill them is the work of a device or a driver. Who
 * receives copies them into memory, which is what a posted write is.
 *
 * @module
 */
import {
  le16,
  MESSAGE,
  recordHeaderSize,
  recordSize,
  type Requester,
  SpanList,
  viewOf,
  virtioBlock,
  VIRTQ_USED_ELEM,
} from "../../protocol/mod.ts";

/** A disk load. */
export interface Load {
  readonly write: boolean;
  /** Of each request. */
  readonly bytes: number;
  /** Requests in flight. */
  readonly depth: number;
}

/** Entries of the rings. */
export const QUEUE = 128;
/** Bytes of one data segment at most, as the host's disk offers it. */
const SEGMENT = 128 * 1024;
const INDEX = 2;
const RING_ENTRY = 4;
const DOORBELL = 4;

/** Where things are at the host: mirror index, mirror ring, staging. */
export const HOST_INDEX = 0;
const HOST_RING = 16;
const STAGING = 4096;
const STAGING_LENGTH = 16 * 2 ** 20;
export const HOST_MEMORY = STAGING + STAGING_LENGTH;

/** Where they are at the card: used index, used ring, and data; its registers are elsewhere. */
export const CARD_INDEX = 0;
const USED_RING = 16;
export const DATA = 4096;
export const CARD_MEMORY = DATA + 64 * 2 ** 20;
export const REGISTERS = 2 ** 32;

/** What the card sends. */
export class RequestFrames {
  readonly #link: Requester;
  readonly #spans = new SpanList();
  /** Requests sent, mod 2^16. */
  #index = 0;
  /** Where the next record goes. */
  #at = 0;
  #header = 0;
  #pushed = 0;
  #record = 0;

  constructor(link: Requester) {
    this.#link = link;
  }

  use({ write, bytes }: Load): void {
    const writable = write ? 1 : Math.ceil(bytes / SEGMENT) + 1;
    this.#header = recordHeaderSize(writable);
    this.#pushed = virtioBlock.REQUEST.size + (write ? bytes : 0);
    this.#record = recordSize(writable, this.#pushed);
  }

  /** Sends `count` requests, or as many of them as the link takes now; returns how many. */
  send(count: number): number {
    const { maxPayload } = this.#link;
    const large = this.#record + RING_ENTRY + INDEX > maxPayload;
    const most = large ? QUEUE : Math.floor((maxPayload - INDEX) / (this.#record + RING_ENTRY));
    let sent = 0;
    while (sent < count && this.#link.writable) {
      let now = Math.min(count - sent, most);
      if (large) now = this.#sendRecords(now);
      this.#sendIndex(now, large ? 0 : now * this.#record);
      sent += now;
    }
    return sent;
  }

  /** Records that a posted write cannot hold: header first, then the data in pieces. */
  #sendRecords(count: number): number {
    const { maxPayload } = this.#link;
    let sent = 0;
    while (sent < count && this.#link.writable) {
      const at = this.#place(this.#record);
      this.#open(at, this.#header);
      for (let done = 0; done < this.#pushed; done += maxPayload) {
        this.#open(at + this.#header + done, Math.min(maxPayload, this.#pushed - done));
      }
      sent++;
    }
    return sent;
  }

  #sendIndex(count: number, records: number): void {
    const spans = this.#spans;
    spans.clear();
    if (records > 0) spans.add(this.#place(records), records);
    addRing(spans, HOST_RING, RING_ENTRY, this.#index, count);
    spans.add(HOST_INDEX, INDEX);
    const place = this.#link.openWrite(spans.spans());
    this.#index = (this.#index + count) & 0xffff;
    le16.set(viewOf(place), place.length - INDEX, this.#index);
    this.#link.message(MESSAGE.msi, 1);
  }

  #place(length: number): number {
    if (this.#at + length > STAGING_LENGTH) this.#at = 0;
    const at = this.#at;
    this.#at += length;
    return STAGING + at;
  }

  #open(address: number, length: number): void {
    this.#spans.clear();
    this.#spans.add(address, length);
    this.#link.openWrite(this.#spans.spans());
  }
}

/** What the host sends. */
export class AnswerFrames {
  readonly #link: Requester;
  readonly #spans = new SpanList();
  #load: Load = { write: false, bytes: 0, depth: 1 };
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

  /** Data and status of one request. */
  answer(): void {
    const { maxPayload } = this.#link;
    const { write, bytes, depth } = this.#load;
    const length = (write ? 0 : bytes) + 1;
    const address = DATA + (this.#answered % depth) * bytes;
    const spans = this.#spans;
    for (let at = 0; at < length;) {
      const end = Math.min(length, at + maxPayload);
      spans.clear();
      // Data and status lie apart, and so do the segments of the data.
      while (at < end) {
        const next = at === length - 1 ? length : Math.min(end, length - 1, at + SEGMENT);
        spans.add(address + at, next - at);
        at = next;
      }
      this.#link.openWrite(spans.spans());
    }
    this.#answered = (this.#answered + 1) & 0xffff;
  }

  /** Tells the card of all that was answered. */
  publish(): void {
    const count = (this.#answered - this.#published) & 0xffff;
    if (count === 0) return;
    const spans = this.#spans;
    spans.clear();
    addRing(spans, USED_RING, VIRTQ_USED_ELEM.size, this.#published, count);
    spans.add(CARD_INDEX, INDEX);
    spans.add(REGISTERS, DOORBELL);
    const place = this.#link.openWrite(spans.spans());
    this.#published = this.#answered;
    le16.set(viewOf(place), place.length - DOORBELL - INDEX, this.#published);
  }
}

/** `count` entries of a ring from number `index` on: two spans if they go round its end. */
function addRing(
  spans: SpanList,
  ring: number,
  entry: number,
  index: number,
  count: number,
): void {
  const slot = index % QUEUE;
  const run = Math.min(count, QUEUE - slot);
  spans.add(ring + entry * slot, entry * run);
  if (run < count) spans.add(ring, entry * (count - run));
}
