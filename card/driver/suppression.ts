/**
 * Notification suppression of a split queue, device side: which interrupts its driver wants, and which notifications
 * we do (virtio 1.3 §2.7.7 and §2.7.10).
 *
 * The flags or `avail_event` are the two fields of the used ring that the card writes; the rest of it is the host's.
 *
 * @module
 */
import {
  AVAIL_F_NO_INTERRUPT,
  availEventOffset,
  crossed,
  le16,
  type SplitRing,
  USED_F_NO_NOTIFY,
  usedEventOffset,
  VIRTQ_RING,
} from "../../protocol/mod.ts";
import type { CardMemory } from "../machine/types.ts";

export class Suppression {
  readonly #memory: CardMemory;
  readonly #ring: SplitRing;
  readonly #eventIndex: boolean;

  /** `eventIndex`: EVENT_IDX was negotiated. */
  constructor(memory: CardMemory, ring: SplitRing, eventIndex: boolean) {
    this.#memory = memory;
    this.#ring = ring;
    this.#eventIndex = eventIndex;
    // With EVENT_IDX they stay 0 (§2.7.10.2), whatever the driver left there.
    this.#set(VIRTQ_RING.at.flags, 0);
  }

  /** Whether the driver asked for an interrupt for the used elements from index `old` up to `now`. */
  wantsInterrupt(old: number, now: number): boolean {
    if (now === old) return false;
    const { availableRing, size } = this.#ring;
    const view = this.#memory.view();
    if (this.#eventIndex) {
      return crossed(le16.get(view, availableRing + usedEventOffset(size)), old, now);
    }
    return !(le16.get(view, availableRing + VIRTQ_RING.at.flags) & AVAIL_F_NO_INTERRUPT);
  }

  /** Asks the driver to notify for the chain with index `next`. No view taken before holds after. */
  wantNotification(next: number): void {
    if (this.#eventIndex) this.#set(availEventOffset(this.#ring.size), next);
    else this.#set(VIRTQ_RING.at.flags, 0);
  }

  /** Asks for no notifications; with EVENT_IDX the `avail_event` left behind says as much. Views as above. */
  wantNone(): void {
    if (!this.#eventIndex) this.#set(VIRTQ_RING.at.flags, USED_F_NO_NOTIFY);
  }

  #set(offset: number, value: number): void {
    const at = this.#ring.usedRing + offset;
    const view = this.#memory.view();
    if (le16.get(view, at) === value) return;
    le16.set(view, at, value);
    this.#memory.written(at, at + 2);
  }
}
