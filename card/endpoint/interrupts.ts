/**
 * Interrupts to the host: from source number to MSI message, past every switch that can stop one.
 *
 * A source (0 the card, s + 1 slot s) becomes a message when its bit is set in the interrupt enable register, the
 * function may be a bus master, MSI or MSI-X is enabled, and the vector is not masked. Until then it waits: it shows
 * in the cause register, and in the pending bits of MSI or MSI-X if only a mask holds it. With a vector for each source
 * (all 32 granted, or MSI-X) the cause clears itself with the message, the original's auto-clear; with fewer, sources
 * share vectors modulo the count, and the host reads the cause register and writes it back.
 *
 * While the link takes no more a few messages still leave at once: those of what was posted before. Then each source
 * waits with one message until there is room, so a host that asks for interrupts without end and reads none of them
 * makes nothing grow here.
 *
 * - **Spec:** PCI Local Bus 3.0 §6.8; SICR0, SICE0, SICC0, SIAC0 of the MIC X100.
 * - **Invariant:** `#direct` holds the sources that nothing can stop; {@linkcode Interrupts.refresh} follows every
 *   change of what it stands on.
 *
 * @module
 */
import {
  le16,
  le32,
  MESSAGE,
  MSI_CAPABILITY,
  MSI_CONTROL,
  MSI_VECTORS,
  msiGranted,
  MSIX_CAPABILITY,
  MSIX_CONTROL,
  MSIX_ENTRY,
  MSIX_ENTRY_MASKED,
  viewOf,
} from "../../protocol/mod.ts";
import type { BusMaster } from "./bus_master.ts";
import type { ConfigSpace } from "./config_space.ts";
import { CAPABILITY_AT } from "./function.ts";

/** Bytes of the MSI-X table. */
export const MSIX_TABLE_SIZE = MSI_VECTORS * MSIX_ENTRY.size;
const MSI = CAPABILITY_AT.msi;
/** Messages sent beyond what the link takes. */
const OVERDRAFT = 64;
const MSIX_CONTROL_AT = CAPABILITY_AT.msix + MSIX_CAPABILITY.at.control;

/** What messages leave by. */
export type InterruptRequester = Pick<
  BusMaster,
  "message" | "enabled" | "writable" | "onWritable"
>;

/** How messages leave at the moment: how many vectors there are, and which of them are masked (bit v). */
interface Delivery {
  readonly vectors: number;
  readonly masked: number;
}

export class Interrupts {
  readonly #config: ConfigSpace;
  readonly #requester: InterruptRequester;
  readonly #table: DataView = viewOf(new Uint8Array(MSIX_TABLE_SIZE));
  #enabled = 0;
  /** Sources raised and not yet seen to by the host. */
  #cause = 0;
  /** Sources raised whose message is not sent yet. */
  #unsent = 0;
  /** Vectors that only a mask keeps from being sent. */
  #pending = 0;
  /** Sources whose message can leave at once under the source's own number. */
  #direct = 0;
  /** Messages sent since the link took no more; and whether it will say when it does. */
  #overdrawn = 0;
  #waitsForLink = false;

  constructor(config: ConfigSpace, requester: InterruptRequester) {
    this.#config = config;
    this.#requester = requester;
    for (let v = 0; v < MSI_VECTORS; v++) {
      le32.set(this.#table, v * MSIX_ENTRY.size + MSIX_ENTRY.at.vector_control, MSIX_ENTRY_MASKED);
    }
  }

  /** Interrupts the host from `source`, 0 to 31; now, or as soon as it allows it. */
  raise(source: number): void {
    const bit = 1 << source;
    if (this.#direct & bit && this.#mayPost()) {
      this.#requester.message(MESSAGE.msi, source);
      return;
    }
    this.#cause |= bit;
    this.#unsent |= bit;
    this.#send();
  }

  get cause(): number {
    return this.#cause >>> 0;
  }

  /** Write 1 to clear: the host has seen these sources. */
  acknowledge(sources: number): void {
    this.#cause &= ~sources;
    this.#unsent &= ~sources;
    this.#send();
  }

  get enabled(): number {
    return this.#enabled >>> 0;
  }

  enable(sources: number): void {
    this.#enabled |= sources;
    this.refresh();
  }

  disable(sources: number): void {
    this.#enabled &= ~sources;
    this.refresh();
  }

  /** MSI-X table, 32 bits at byte `offset` of it. */
  readTable(offset: number): number {
    return le32.get(this.#table, offset);
  }

  writeTable(offset: number, value: number): void {
    const isControl = offset % MSIX_ENTRY.size === MSIX_ENTRY.at.vector_control;
    le32.set(this.#table, offset, isControl ? value & MSIX_ENTRY_MASKED : value);
    this.refresh();
  }

  /** Pending bits as MSI-X shows them; 0 while it is disabled. */
  get msixPending(): number {
    return this.#msixControl & MSIX_CONTROL.enable ? this.#pending >>> 0 : 0;
  }

  /** Takes note of a change of bus mastering, MSI or MSI-X. */
  refresh(): void {
    const delivery = this.#delivery();
    this.#direct = delivery?.vectors === MSI_VECTORS ? this.#enabled & ~delivery.masked : 0;
    this.#send();
  }

  #mayPost(): boolean {
    if (this.#requester.writable) {
      this.#overdrawn = 0;
      return true;
    }
    if (this.#overdrawn < OVERDRAFT) {
      this.#overdrawn++;
      return true;
    }
    if (!this.#waitsForLink) {
      this.#waitsForLink = true;
      this.#requester.onWritable(() => {
        this.#waitsForLink = false;
        this.#send();
      });
    }
    return false;
  }

  get #msixControl(): number {
    return le16.get(this.#config.view, MSIX_CONTROL_AT);
  }

  #delivery(): Delivery | undefined {
    const view = this.#config.view;
    if (!this.#requester.enabled) return undefined;
    const msix = this.#msixControl;
    if (msix & MSIX_CONTROL.enable) {
      return {
        vectors: MSI_VECTORS,
        masked: msix & MSIX_CONTROL.function_mask ? -1 : this.#masks(),
      };
    }
    const control = le16.get(view, MSI + MSI_CAPABILITY.at.control);
    if (!(control & MSI_CONTROL.enable)) return undefined;
    return { vectors: msiGranted(control), masked: le32.get(view, MSI + MSI_CAPABILITY.at.mask) };
  }

  #masks(): number {
    let masked = 0;
    for (let v = 0; v < MSI_VECTORS; v++) {
      const control = v * MSIX_ENTRY.size + MSIX_ENTRY.at.vector_control;
      if (le32.get(this.#table, control) & MSIX_ENTRY_MASKED) masked |= 1 << v;
    }
    return masked;
  }

  /** Sends what can be sent, each vector once; the rest stays. */
  #send(): void {
    const delivery = this.#delivery();
    let sent = 0;
    this.#pending = 0;
    if (delivery !== undefined) {
      for (let source = 0; source < MSI_VECTORS; source++) {
        if (!(this.#unsent & this.#enabled & (1 << source))) continue;
        const vector = 1 << (source & (delivery.vectors - 1));
        if (delivery.masked & vector) {
          this.#pending |= vector;
          continue;
        }
        if (!(sent & vector) && !this.#mayPost()) continue;
        this.#unsent &= ~(1 << source);
        if (delivery.vectors === MSI_VECTORS) this.#cause &= ~(1 << source);
        sent |= vector;
      }
    }
    const msix = (this.#msixControl & MSIX_CONTROL.enable) !== 0;
    le32.set(this.#config.view, MSI + MSI_CAPABILITY.at.pending, msix ? 0 : this.#pending >>> 0);
    for (let vector = 0; vector < MSI_VECTORS; vector++) {
      if (sent & (1 << vector)) this.#requester.message(MESSAGE.msi, vector);
    }
  }
}
