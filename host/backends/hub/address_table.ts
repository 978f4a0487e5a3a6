/**
 * Which end of a hub a MAC address is behind, as a learning bridge knows it (IEEE 802.1D §7.8 and §7.9).
 *
 * The addresses that the host gave its cards are fixed: nobody else can be them. Of others each end may have so many;
 * one more takes the place of its own oldest, so that an end which makes addresses up takes nothing from the others.
 *
 * @module
 */

/** Addresses learnt behind one end. */
const LEARNT_MAX = 256;

/** A MAC address as a number below 2^48. `at` is where it begins. */
export function addressAt(bytes: Uint8Array, at: number): number {
  const high = bytes[at]! << 8 | bytes[at + 1]!;
  const low = bytes[at + 2]! << 24 | bytes[at + 3]! << 16 | bytes[at + 4]! << 8 | bytes[at + 5]!;
  return high * 2 ** 32 + (low >>> 0);
}

export class AddressTable<End> {
  readonly #fixed = new Map<number, End>();
  readonly #learnt = new Map<number, End>();
  /** By end, the oldest first. */
  readonly #behind = new Map<End, Set<number>>();

  /** False if it is fixed for another end already. */
  fix(address: number, end: End): boolean {
    if (this.#fixed.has(address)) return false;
    const before = this.#learnt.get(address);
    if (before !== undefined) this.#drop(address, before);
    this.#fixed.set(address, end);
    return true;
  }

  /** A frame came from `address` through `end`. False if that cannot be: the address is another end's. */
  learn(address: number, end: End): boolean {
    const fixed = this.#fixed.get(address);
    if (fixed !== undefined) return fixed === end;
    const before = this.#learnt.get(address);
    if (before === end) return true;
    if (before !== undefined) this.#drop(address, before);
    let own = this.#behind.get(end);
    if (own === undefined) this.#behind.set(end, own = new Set());
    if (own.size === LEARNT_MAX) {
      for (const oldest of own) {
        this.#drop(oldest, end);
        break;
      }
    }
    own.add(address);
    this.#learnt.set(address, end);
    return true;
  }

  find(address: number): End | undefined {
    return this.#fixed.get(address) ?? this.#learnt.get(address);
  }

  /** What was learnt behind `end` is not so any more. */
  forget(end: End): void {
    for (const address of this.#behind.get(end) ?? []) this.#learnt.delete(address);
    this.#behind.delete(end);
  }

  /** The end is gone, with its fixed addresses. */
  remove(end: End): void {
    this.forget(end);
    for (const [address, owner] of this.#fixed) if (owner === end) this.#fixed.delete(address);
  }

  #drop(address: number, end: End): void {
    this.#learnt.delete(address);
    this.#behind.get(end)?.delete(address);
  }
}
