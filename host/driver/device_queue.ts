/**
 * The virtqueue mirror, host end: a {@linkcode DeviceQueue} over chain records in local memory (architecture §6,
 * protocol/virtio/mirror.ts).
 *
 * What the device reads is here; what it writes goes out as posted writes into card memory through BAR 0, in the order
 * data, used elements, used index, doorbell. Posted writes are applied in that order, so the driver never sees a used
 * index before what it stands for.
 *
 * The card is not trusted: a record is checked and copied out before anything in it is used, a card can have no more
 * chains out than the queue has entries, and only addresses inside card memory are ever written.
 *
 * **Budget:** 0.4 us a chain (tests/bench/README.md, "Budgets").
 *
 * @module
 */
import {
  advance,
  checkSplitRing,
  distance,
  DriverError,
  le16,
  le32,
  MAX_SPANS,
  minStagingLength,
  MIRROR_INDEX_OFFSET,
  MIRROR_RING_OFFSET,
  mirrorSize,
  REGISTERS,
  type Requester,
  SpanList,
  type SplitRing,
  UnsupportedRequest,
  usedEntry,
  viewOf,
  VIRTQ_RING,
  VIRTQ_USED_ELEM,
} from "../../protocol/mod.ts";
import { MirrorChain } from "./mirror_chain.ts";
import { type QueueCounters, queueCounters } from "./queue_counters.ts";
import type { DescriptorChain, DeviceQueue } from "./virtio_device.ts";

export interface MirrorQueueOptions {
  readonly requester: Requester;
  /** Bus addresses of BAR 0 (card memory) and BAR 4 (registers). */
  readonly apertureBase: number;
  readonly registerBase: number;
  /** Bytes of card memory. */
  readonly cardMemorySize: number;
  readonly slot: number;
  /** Number of the queue in its device. */
  readonly index: number;
  /** As the host page row of the queue says it; not trusted. */
  readonly ring: SplitRing;
  readonly indices: { readonly available: number; readonly used: number };
  /** Mapped regions that the card writes: `mirrorSize(size)` bytes, and the staging area. */
  readonly mirror: Uint8Array;
  readonly staging: Uint8Array;
  /** Bus address of `msi_event` in the queue's row of the card page. */
  readonly msiEventAddress: number;
  /** Added to; the queue's own if absent. */
  readonly counters?: QueueCounters;
}

/** Most device-readable bytes that `fetch` reads across the link for one chain: larger than any driver's request. */
export const FETCH_MAX = 16 * 1024 * 1024;

/** `msi_event` this far ahead of the records is never passed before it is moved again; half of it is the margin. */
const FAR = 0x4000;
const DOORBELL_SIZE = 4;
const INDEX_SIZE = 2;

export class MirrorQueue implements DeviceQueue {
  readonly index: number;
  readonly size: number;
  readonly usedBefore: number;
  readonly #requester: Requester;
  readonly #apertureBase: number;
  readonly #doorbell: number;
  readonly #cardMemorySize: number;
  /** Bus address of the used ring. */
  readonly #usedRing: number;
  readonly #mirror: DataView;
  readonly #staging: DataView;
  readonly #stagingBytes: Uint8Array;
  readonly #msiEventAddress: number;
  readonly #counters: QueueCounters;
  /** Next record, and next used element to post. */
  #seen: number;
  #used: number;
  #msiEvent: number;
  #wantsMsi = true;
  #stopped = false;
  /** By head: the chain in flight. Chains not in flight wait in `#idle`. */
  readonly #chains: (MirrorChain | undefined)[];
  readonly #idle: MirrorChain[] = [];
  #inFlight = 0;
  /** Used elements pushed and not yet posted. */
  readonly #pushedHeads: Uint16Array;
  readonly #pushedLengths: Uint32Array;
  #pushed = 0;
  readonly #spans = new SpanList();

  /**
   * Starts with MSI wanted, which it tells the card.
   * @throws {DriverError} `queue-setup`, for rings that lie where none may
   * @throws {RangeError} for mirror or staging memory that is too small
   */
  constructor(options: MirrorQueueOptions) {
    const { ring, mirror, staging, indices } = options;
    checkSplitRing(ring, options.cardMemorySize);
    if (mirror.length < mirrorSize(ring.size) || staging.length < minStagingLength(ring.size)) {
      throw new RangeError(
        `Cannot serve queue of ${ring.size}: mirror has ${mirror.length} bytes, staging ${staging.length}`,
      );
    }
    this.index = options.index;
    this.size = ring.size;
    this.usedBefore = indices.used;
    this.#requester = options.requester;
    this.#apertureBase = options.apertureBase;
    this.#doorbell = options.registerBase + REGISTERS.doorbell.at + 4 * (options.slot + 1);
    this.#cardMemorySize = options.cardMemorySize;
    this.#usedRing = options.apertureBase + ring.usedRing;
    this.#mirror = viewOf(mirror);
    this.#staging = viewOf(staging);
    this.#stagingBytes = staging;
    this.#msiEventAddress = options.msiEventAddress;
    this.#counters = options.counters ?? queueCounters();
    this.#seen = this.#msiEvent = indices.available;
    this.#used = indices.used;
    this.#chains = new Array(ring.size).fill(undefined);
    this.#pushedHeads = new Uint16Array(ring.size);
    this.#pushedLengths = new Uint32Array(ring.size);
    this.#post(true);
  }

  get pending(): boolean {
    return !this.#stopped && this.#mirrorIndex() !== this.#seen;
  }

  /** Chains handed out and not given back. */
  get inFlight(): number {
    return this.#inFlight;
  }

  pop(): DescriptorChain | undefined {
    if (this.#stopped) return undefined;
    const index = this.#mirrorIndex();
    const count = distance(this.#seen, index);
    if (count === 0) return undefined;
    if (this.#inFlight + count > this.size) {
      throw new DriverError(
        "available-index",
        `Cannot take mirror index ${index}: ${this.#inFlight} in flight before ${this.#seen}, size ${this.size}`,
      );
    }
    const entry = MIRROR_RING_OFFSET + 4 * (this.#seen & (this.size - 1));
    const offset = le32.get(this.#mirror, entry);
    const chain = this.#idle.pop() ?? new MirrorChain(this.#stagingBytes);
    chain.parse(this.#staging, offset, this.size, this.#cardMemorySize);
    if (this.#chains[chain.head] !== undefined) {
      throw new DriverError("head-in-flight", `Cannot take head ${chain.head}: not used yet`);
    }
    this.#chains[chain.head] = chain;
    this.#inFlight++;
    this.#seen = advance(this.#seen);
    chain.begin();
    this.#counters.chains++;
    this.#counters.bytesFromDriver += chain.readableLength;
    return chain;
  }

  fetch(chain: DescriptorChain, signal: AbortSignal): Uint8Array | Promise<Uint8Array> {
    const own = this.#own(chain);
    if (own.pushedLength === own.readableLength) return own.pushed;
    return this.#fetchRest(own, signal);
  }

  write(chain: DescriptorChain, offset: number, bytes: Uint8Array): void {
    if (this.#stopped) return;
    const own = this.#own(chain);
    checkRange(own, offset, bytes.length);
    for (let at = 0; at < bytes.length;) {
      const place = this.#open(own, offset + at, bytes.length - at);
      const whole = at === 0 && place.length === bytes.length;
      place.set(whole ? bytes : bytes.subarray(at, at + place.length));
      at += place.length;
    }
  }

  writeWith(
    chain: DescriptorChain,
    offset: number,
    length: number,
    fill: (into: Uint8Array, at: number) => void,
  ): void {
    if (this.#stopped) return;
    const own = this.#own(chain);
    checkRange(own, offset, length);
    for (let at = 0; at < length;) {
      const place = this.#open(own, offset + at, length - at);
      try {
        fill(place, at);
      } catch (error) {
        place.fill(0);
        throw error;
      }
      at += place.length;
    }
  }

  push(chain: DescriptorChain, written: number): void {
    if (this.#stopped) return;
    const own = this.#own(chain);
    if (!(written >= 0 && written <= own.writableLength)) {
      throw new RangeError(
        `Cannot give back chain ${own.head}: ${written} bytes written of ${own.writableLength}`,
      );
    }
    own.open = false;
    this.#chains[own.head] = undefined;
    this.#idle.push(own);
    this.#inFlight--;
    this.#counters.used++;
    this.#counters.bytesToDriver += written;
    // The card may offer a head again only once its used index was posted, so this cannot fill up unless it cheats.
    if (this.#pushed === this.size) this.#post(false);
    this.#pushedHeads[this.#pushed] = own.head;
    this.#pushedLengths[this.#pushed++] = written;
  }

  publish(): void {
    if (this.#stopped) return;
    const move = this.#msiEventDrifted();
    if (this.#pushed > 0 || move) this.#post(move);
  }

  /** Whether the card shall send MSI for records it posts from now on; for one that crosses this on the way it does. */
  wantMsi(wanted: boolean): void {
    if (this.#stopped || wanted === this.#wantsMsi) return;
    this.#wantsMsi = wanted;
    this.#post(true);
  }

  /** Reset, or the end of the session: every further call does nothing. */
  stop(): void {
    this.#stopped = true;
  }

  #mirrorIndex(): number {
    return le16.get(this.#mirror, MIRROR_INDEX_OFFSET);
  }

  /** @throws {TypeError} if it was given back, or is not of this queue */
  #own(chain: DescriptorChain): MirrorChain {
    const own = chain as MirrorChain;
    if (!own.open) throw new TypeError(`Cannot use chain ${chain.head}: given back already`);
    return own;
  }

  /**
   * Opens one posted write for as many of `length` writable bytes from `offset` on as one can carry: their place in
   * the outgoing batch.
   */
  #open(chain: MirrorChain, offset: number, length: number): Uint8Array {
    const spans = this.#spans;
    spans.clear();
    const most = Math.min(length, this.#requester.maxPayload);
    let segment = chain.locate(offset);
    let skip = offset - chain.located;
    while (spans.total < most && spans.count < MAX_SPANS) {
      const count = Math.min(chain.lengths[segment]! - skip, most - spans.total);
      spans.add(this.#apertureBase + chain.addresses[segment]! + skip, count);
      segment++;
      skip = 0;
    }
    return this.#requester.openWrite(spans.spans());
  }

  async #fetchRest(chain: MirrorChain, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#stopped) throw new DOMException("The queue was stopped", "AbortError");
    const { readableLength, readableCount, addresses, lengths, pushedLength } = chain;
    if (readableLength > FETCH_MAX) {
      throw new DriverError(
        "request",
        `Cannot fetch chain ${chain.head}: ${readableLength} bytes, wanted at most ${FETCH_MAX}`,
      );
    }
    const bytes = new Uint8Array(readableLength);
    bytes.set(chain.pushed);
    const reads: Promise<void>[] = [];
    let start = 0;
    for (let i = 0; i < readableCount; i++) {
      const end = start + lengths[i]!;
      const from = Math.max(start, pushedLength);
      if (from < end) {
        const address = this.#apertureBase + addresses[i]! + from - start;
        reads.push(
          this.#requester.memoryRead(address, end - from, signal).then((part) => {
            bytes.set(part, from);
          }, (error) => {
            throw error instanceof UnsupportedRequest ? refused(chain.head, error) : error;
          }),
        );
      }
      start = end;
    }
    await Promise.all(reads);
    return bytes;
  }

  /** Posts used elements, `msi_event` if it is to be moved, used index and doorbell. */
  #post(moveMsiEvent: boolean): void {
    const { maxPayload } = this.#requester;
    const tail = INDEX_SIZE + INDEX_SIZE + DOORBELL_SIZE;
    const most = Math.floor((maxPayload - tail) / VIRTQ_USED_ELEM.size);
    let done = 0;
    for (; this.#pushed - done > most; done += most) this.#postElements(done, most);
    this.#postTail(done, this.#pushed - done, moveMsiEvent);
    this.#pushed = 0;
  }

  /** Elements that leave no room for the index: it follows with the last of them. */
  #postElements(first: number, count: number): void {
    this.#spans.clear();
    this.#addElements(count);
    this.#fillElements(viewOf(this.#requester.openWrite(this.#spans.spans())), first, count);
  }

  #postTail(first: number, count: number, moveMsiEvent: boolean): void {
    const spans = this.#spans;
    spans.clear();
    this.#addElements(count);
    if (moveMsiEvent) spans.add(this.#msiEventAddress, INDEX_SIZE);
    if (this.#pushed > 0) spans.add(this.#usedRing + VIRTQ_RING.at.idx, INDEX_SIZE);
    spans.add(this.#doorbell, DOORBELL_SIZE);
    const view = viewOf(this.#requester.openWrite(spans.spans()));
    let at = this.#fillElements(view, first, count);
    if (moveMsiEvent) {
      this.#msiEvent = this.#wantsMsi ? this.#seen : advance(this.#seen, FAR);
      le16.set(view, at, this.#msiEvent);
      at += INDEX_SIZE;
    }
    if (this.#pushed > 0) {
      this.#counters.doorbells++;
      le16.set(view, at, this.#used);
      at += INDEX_SIZE;
    }
    le32.set(view, at, this.index);
  }

  /** Spans of the next `count` used elements: two if they go round the end of the ring. */
  #addElements(count: number): void {
    if (count === 0) return;
    const slot = this.#used & (this.size - 1);
    const run = Math.min(count, this.size - slot);
    this.#spans.add(this.#usedRing + usedEntry(slot), VIRTQ_USED_ELEM.size * run);
    if (run < count) {
      this.#spans.add(this.#usedRing + usedEntry(0), VIRTQ_USED_ELEM.size * (count - run));
    }
  }

  #fillElements(view: DataView, first: number, count: number): number {
    let at = 0;
    for (let i = first; i < first + count; i++, at += VIRTQ_USED_ELEM.size) {
      le32.set(view, at + VIRTQ_USED_ELEM.at.id, this.#pushedHeads[i]!);
      le32.set(view, at + VIRTQ_USED_ELEM.at.len, this.#pushedLengths[i]!);
    }
    this.#used = advance(this.#used, count);
    return at;
  }

  /**
   * Indices go round: `msi_event` has to follow the records before they are half a circle away from it. At most `size`
   * records come between two calls of `publish`.
   */
  #msiEventDrifted(): boolean {
    return this.#wantsMsi
      ? distance(this.#msiEvent, this.#seen) > FAR
      : distance(this.#seen, this.#msiEvent) < FAR / 2;
  }
}

/** A card that does not claim its own memory. */
function refused(head: number, cause: UnsupportedRequest): DriverError {
  return new DriverError("record", `Cannot fetch chain ${head}: ${cause.message}`, { cause });
}

function checkRange(chain: MirrorChain, offset: number, length: number): void {
  if (!(offset >= 0 && length >= 0 && offset + length <= chain.writableLength)) {
    throw new RangeError(
      `Cannot write ${length} bytes at ${offset} of chain ${chain.head}: it has ${chain.writableLength}`,
    );
  }
}
