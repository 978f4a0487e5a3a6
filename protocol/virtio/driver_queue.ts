/**
 * Driver side of a split virtqueue (virtio 1.3 §2.7): what an operating system does with one, over plain card memory.
 *
 * `add` puts a chain into the descriptor table, `publish` makes all added chains available at once, `popUsed` takes
 * back what the device is done with. Nothing is allocated per request: a chain is named by its head, and the caller
 * keeps what belongs to it in an array indexed by head.
 *
 * The device is foreign, so whatever this side needs to remember (which descriptors are free, how a chain is linked,
 * how much may be written) it keeps outside shared memory and never reads back from there.
 *
 * @module
 */
import { address64, le16, le32 } from "../scalar.ts";
import {
  AVAIL_F_NO_INTERRUPT,
  availableEntry,
  availEventOffset,
  DESC_F,
  type SplitRing,
  USED_F_NO_NOTIFY,
  usedEntry,
  usedEventOffset,
  VIRTQ_DESC,
  VIRTQ_RING,
  VIRTQ_USED_ELEM,
} from "./ring.ts";
import { advance, crossed, distance } from "./ring_index.ts";

/** A buffer in card memory: byte offset, bytes. */
export interface BufferSegment {
  readonly address: number;
  readonly length: number;
}

/** A chain that came back: its head, and bytes that the device wrote. */
export interface UsedChain {
  head: number;
  written: number;
}

/** The device broke the rules of the used ring; the queue is of no use until the device is reset. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
}

export interface DriverQueueOptions extends SplitRing {
  /** All of card memory; it must stay valid for the life of the queue. The ring parts in it are zero. */
  readonly memory: DataView;
  /** EVENT_IDX was negotiated. */
  readonly eventIndex: boolean;
  /**
   * INDIRECT_DESC was negotiated, and this is room for `size` tables of `capacity` descriptors each, 16-byte aligned.
   * Chains of two to `capacity` segments then take one descriptor of the ring.
   */
  readonly indirect?: { readonly address: number; readonly capacity: number };
}

const NONE: readonly BufferSegment[] = [];

export class DriverQueue {
  readonly size: number;
  readonly #memory: DataView;
  readonly #descriptors: number;
  readonly #available: number;
  readonly #used: number;
  readonly #eventIndex: boolean;
  readonly #indirect: { readonly address: number; readonly capacity: number } | undefined;
  /** Free descriptors as a list through #next; chains in flight are linked through it too. */
  readonly #next: Uint16Array;
  /** By head: descriptors of the ring that the chain takes, 0 when it is not in flight. */
  readonly #taken: Uint16Array;
  /** By head: device-writable bytes of the chain. */
  readonly #writable: Float64Array;
  #firstFree = 0;
  #free: number;
  /** Index behind the last chain added; and behind the last one the device was shown. */
  #added = 0;
  #published = 0;
  /** Index behind the last used element taken. */
  #taking = 0;

  constructor(options: DriverQueueOptions) {
    this.size = options.size;
    this.#memory = options.memory;
    this.#descriptors = options.descriptorTable;
    this.#available = options.availableRing;
    this.#used = options.usedRing;
    this.#eventIndex = options.eventIndex;
    this.#indirect = options.indirect;
    this.#next = Uint16Array.from({ length: this.size }, (_, i) => i + 1);
    this.#taken = new Uint16Array(this.size);
    this.#writable = new Float64Array(this.size);
    this.#free = this.size;
  }

  /** Descriptors left. */
  get free(): number {
    return this.#free;
  }

  /**
   * Puts a chain into the table; the device sees it with the next {@linkcode publish}.
   * @returns the head, or -1 if there are too few descriptors left
   * @throws {RangeError} for a chain of no segments, or of more than can ever fit
   */
  add(readable: readonly BufferSegment[], writable: readonly BufferSegment[] = NONE): number {
    const segments = readable.length + writable.length;
    const indirect = this.#indirect !== undefined && segments > 1 &&
      segments <= this.#indirect.capacity;
    const needed = indirect ? 1 : segments;
    if (needed === 0 || needed > this.size) {
      throw new RangeError(`Cannot add chain: ${segments} segments, wanted 1 to ${this.size}`);
    }
    if (needed > this.#free) return -1;
    const head = this.#firstFree;
    const table = indirect ? this.#indirectTable(head) : this.#descriptors;
    let at = indirect ? 0 : head;
    let last = head;
    let room = 0;
    for (let i = 0; i < segments; i++) {
      const write = i >= readable.length;
      const { address, length } = write ? writable[i - readable.length]! : readable[i]!;
      const next = indirect ? i + 1 : this.#next[at]!;
      const more = i + 1 < segments;
      const flags = (write ? DESC_F.WRITE : 0) | (more ? DESC_F.NEXT : 0);
      this.#describe(table, at, address, length, flags, more ? next : 0);
      if (write) room += length;
      if (!indirect) last = at;
      at = next;
    }
    if (indirect) {
      const length = VIRTQ_DESC.size * segments;
      this.#describe(this.#descriptors, head, table, length, DESC_F.INDIRECT, 0);
    }
    this.#firstFree = this.#next[last]!;
    this.#free -= needed;
    this.#taken[head] = needed;
    this.#writable[head] = room;
    const slot = this.#added & (this.size - 1);
    le16.set(this.#memory, this.#available + availableEntry(slot), head);
    this.#added = advance(this.#added);
    return head;
  }

  /** Shows the device all chains added. True if it wants an available buffer notification for them (§2.7.10). */
  publish(): boolean {
    const old = this.#published;
    const now = this.#added;
    if (now === old) return false;
    le16.set(this.#memory, this.#available + VIRTQ_RING.at.idx, now);
    this.#published = now;
    if (this.#eventIndex) {
      return crossed(le16.get(this.#memory, this.#used + availEventOffset(this.size)), old, now);
    }
    return (le16.get(this.#memory, this.#used + VIRTQ_RING.at.flags) & USED_F_NO_NOTIFY) === 0;
  }

  /**
   * Takes the next chain that the device is done with into `into`; false if there is none. Its descriptors are free
   * again.
   * @throws {DeviceError} for a head that is not in flight, or more bytes than the chain had room for
   */
  popUsed(into: UsedChain): boolean {
    const index = le16.get(this.#memory, this.#used + VIRTQ_RING.at.idx);
    const ready = distance(this.#taking, index);
    if (ready === 0) return false;
    if (ready > this.size) {
      throw new DeviceError(`Cannot take used chain: index ${ready} ahead, at most ${this.size}`);
    }
    const element = this.#used + usedEntry(this.#taking & (this.size - 1));
    const head = le32.get(this.#memory, element + VIRTQ_USED_ELEM.at.id);
    const written = le32.get(this.#memory, element + VIRTQ_USED_ELEM.at.len);
    const taken = this.#taken[head];
    if (!taken) throw new DeviceError(`Cannot take used chain: head ${head} is not in flight`);
    if (written > this.#writable[head]!) {
      throw new DeviceError(
        `Cannot take used chain: ${written} bytes written, room for ${this.#writable[head]}`,
      );
    }
    let last = head;
    for (let i = 1; i < taken; i++) last = this.#next[last]!;
    this.#next[last] = this.#firstFree;
    this.#firstFree = head;
    this.#free += taken;
    this.#taken[head] = 0;
    this.#taking = advance(this.#taking);
    into.head = head;
    into.written = written;
    return true;
  }

  /**
   * Asks for a used buffer notification once `count` more chains are used (§2.7.7). False if that many are used
   * already: no notification will come for them, so take them now.
   */
  awaitUsed(count = 1): boolean {
    if (this.#eventIndex) {
      const event = advance(this.#taking, count - 1);
      le16.set(this.#memory, this.#available + usedEventOffset(this.size), event);
    } else {
      le16.set(this.#memory, this.#available + VIRTQ_RING.at.flags, 0);
      count = 1;
    }
    const index = le16.get(this.#memory, this.#used + VIRTQ_RING.at.idx);
    return distance(this.#taking, index) < count;
  }

  /** Asks for no used buffer notifications. A hint: one may still come. */
  ignoreUsed(): void {
    if (this.#eventIndex) {
      // The index that the ring passed last is the one it will come to last.
      const event = advance(this.#taking, -1);
      le16.set(this.#memory, this.#available + usedEventOffset(this.size), event);
    } else {
      le16.set(this.#memory, this.#available + VIRTQ_RING.at.flags, AVAIL_F_NO_INTERRUPT);
    }
  }

  #indirectTable(head: number): number {
    const { address, capacity } = this.#indirect!;
    return address + VIRTQ_DESC.size * capacity * head;
  }

  #describe(
    table: number,
    index: number,
    address: number,
    length: number,
    flags: number,
    next: number,
  ): void {
    const at = table + VIRTQ_DESC.size * index;
    address64.set(this.#memory, at + VIRTQ_DESC.at.addr, address);
    le32.set(this.#memory, at + VIRTQ_DESC.at.len, length);
    le16.set(this.#memory, at + VIRTQ_DESC.at.flags, flags);
    le16.set(this.#memory, at + VIRTQ_DESC.at.next, next);
  }
}
