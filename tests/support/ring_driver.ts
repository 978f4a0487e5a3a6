/**
 * The driver's side of a split virtqueue for tests: plain and slow, and willing to write what no honest driver would
 * (virtio 1.3 §2.7.13, §2.7.14).
 *
 * @module
 */
import {
  availableEntry,
  availEventOffset,
  crossed,
  DESC_F,
  distance,
  type SplitRing,
  usedEntry,
  usedEventOffset,
  viewOf,
  VIRTQ_DESC,
  VIRTQ_RING,
  VIRTQ_USED_ELEM,
} from "../../protocol/mod.ts";

export interface Piece {
  readonly address: number;
  readonly length: number;
}
export interface Descriptor {
  addr: number;
  len: number;
  flags: number;
  next: number;
}

export class RingDriver {
  readonly view: DataView;
  readonly ring: SplitRing;
  readonly eventIndex: boolean;
  #free: number[];
  readonly #chains = new Map<number, number[]>();
  #available: number;
  #notified: number;
  #used: number;

  constructor(
    memory: Uint8Array,
    ring: SplitRing,
    options: { readonly eventIndex?: boolean; readonly index?: number } = {},
  ) {
    this.view = viewOf(memory);
    this.ring = ring;
    this.eventIndex = options.eventIndex ?? false;
    this.#available = this.#notified = this.#used = options.index ?? 0;
    this.#free = Array.from({ length: ring.size }, (_, i) => i);
  }

  get freeDescriptors(): number {
    return this.#free.length;
  }

  describe(table: number, index: number, descriptor: Descriptor): void {
    VIRTQ_DESC.write(this.view, descriptor, table + VIRTQ_DESC.size * index);
  }

  /** Makes a chain available; through an indirect table at `indirect`, if given. Its head. */
  add(readable: readonly Piece[], writable: readonly Piece[], indirect?: number): number {
    const pieces = [
      ...readable.map((p) => ({ ...p, write: 0 })),
      ...writable.map((p) => ({ ...p, write: DESC_F.WRITE })),
    ];
    const taken = this.#free.splice(0, indirect === undefined ? pieces.length : 1);
    const head = taken[0]!;
    const table = indirect ?? this.ring.descriptorTable;
    pieces.forEach(({ address, length, write }, i) => {
      const last = i === pieces.length - 1;
      this.describe(table, indirect === undefined ? taken[i]! : i, {
        addr: address,
        len: length,
        flags: write | (last ? 0 : DESC_F.NEXT),
        next: last ? 0 : indirect === undefined ? taken[i + 1]! : i + 1,
      });
    });
    if (indirect !== undefined) {
      this.describe(this.ring.descriptorTable, head, {
        addr: indirect,
        len: VIRTQ_DESC.size * pieces.length,
        flags: DESC_F.INDIRECT,
        next: 0,
      });
    }
    this.#chains.set(head, taken);
    this.offer(head);
    return head;
  }

  /** Puts a head into the available ring, whatever it is. */
  offer(head: number): void {
    const { availableRing, size } = this.ring;
    this.view.setUint16(availableRing + availableEntry(this.#available % size), head, true);
    this.#available = (this.#available + 1) % 65536;
    this.view.setUint16(availableRing + VIRTQ_RING.at.idx, this.#available, true);
  }

  /** Whether the device wants to be notified of what was added since the last call. */
  shouldNotify(): boolean {
    const { usedRing, size } = this.ring;
    const old = this.#notified;
    this.#notified = this.#available;
    if (old === this.#available) return false;
    if (!this.eventIndex) return this.view.getUint16(usedRing + VIRTQ_RING.at.flags, true) === 0;
    return crossed(
      this.view.getUint16(usedRing + availEventOffset(size), true),
      old,
      this.#available,
    );
  }

  /** Next used element; its descriptors are free again. */
  takeUsed(): { id: number; len: number } | undefined {
    const { usedRing, size } = this.ring;
    const index = this.view.getUint16(usedRing + VIRTQ_RING.at.idx, true);
    if (distance(this.#used, index) === 0) return undefined;
    const element = VIRTQ_USED_ELEM.read(this.view, usedRing + usedEntry(this.#used % size));
    this.#used = (this.#used + 1) % 65536;
    const taken = this.#chains.get(element.id);
    if (taken === undefined) throw new Error(`head ${element.id} was used but not available`);
    this.#chains.delete(element.id);
    this.#free.push(...taken);
    return element;
  }

  /** Asks for an interrupt for the next used element (or, with EVENT_IDX, once `after` more). */
  wantInterrupt(wanted: boolean, after = 0): void {
    const { availableRing, size } = this.ring;
    if (this.eventIndex) {
      const event = wanted ? this.#used + after : this.#used + 0x8000;
      this.view.setUint16(availableRing + usedEventOffset(size), event % 65536, true);
    } else {
      this.view.setUint16(availableRing + VIRTQ_RING.at.flags, wanted ? 0 : 1, true);
    }
  }
}
