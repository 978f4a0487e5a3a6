/**
 * The device's side of a split virtqueue in the card's own memory, with nothing between: for devices that say what a
 * device costs without the bridge. It trusts its driver to follow the rules.
 *
 * Spec: virtio 1.3 §2.7, without EVENT_IDX.
 *
 * @module
 */
import type { CardMemory } from "../../card/machine/types.ts";
import {
  advance,
  AVAIL_F_NO_INTERRUPT,
  availableEntry,
  ChainWalker,
  distance,
  le16,
  type SplitRing,
  usedEntry,
  VIRTQ_RING,
  VIRTQ_USED_ELEM,
} from "../../protocol/mod.ts";

export class LocalQueue {
  readonly #memory: CardMemory;
  readonly #ring: SplitRing;
  readonly #walker: ChainWalker;
  /** Available entries taken, which is used entries given back; mod 2^16. */
  #served = 0;

  constructor(memory: CardMemory, ring: SplitRing) {
    this.#memory = memory;
    this.#ring = ring;
    this.#walker = new ChainWalker({ ring, memorySize: memory.size, indirect: true });
  }

  /** Chains that wait. */
  get waiting(): number {
    const index = this.#ring.availableRing + VIRTQ_RING.at.idx;
    return distance(this.#served, le16.get(this.#memory.view(), index));
  }

  /** The chain that is `ahead` behind the next one, which stays where it is; valid until the next call. */
  look(ahead: number): ChainWalker {
    this.#walker.walk(this.#memory.view(), this.#head(ahead));
    return this.#walker;
  }

  /** Gives the next chain back; the driver sees it at once. */
  give(length: number): void {
    const view = this.#memory.view();
    const used = { id: this.#head(0), len: length };
    const { usedRing, size } = this.#ring;
    VIRTQ_USED_ELEM.write(view, used, usedRing + usedEntry(this.#served % size));
    this.#served = advance(this.#served);
    le16.set(view, usedRing + VIRTQ_RING.at.idx, this.#served);
  }

  /** The driver wants to hear of used chains. */
  get interrupts(): boolean {
    const flags = this.#ring.availableRing + VIRTQ_RING.at.flags;
    return (le16.get(this.#memory.view(), flags) & AVAIL_F_NO_INTERRUPT) === 0;
  }

  #head(ahead: number): number {
    const { availableRing, size } = this.#ring;
    const slot = advance(this.#served, ahead) % size;
    return le16.get(this.#memory.view(), availableRing + availableEntry(slot));
  }
}
