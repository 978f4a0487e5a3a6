/**
 * The system memory window: what the card may reach in host memory, and nothing else.
 *
 * The table of mapped regions is the IOMMU of this system. Bus addresses start at 512 GiB, where the MIC X100 saw host
 * memory, and are handed out upward, page by page, with an unmapped guard page behind each region. An address is never
 * handed out twice, so a late write from an earlier life of the card meets an empty page, not somebody else's memory.
 *
 * @module
 */
import { UnsupportedRequest } from "../../protocol/mod.ts";

export const WINDOW_BASE = 0x80_0000_0000;
const PAGE = 4096;
const pages = (bytes: number): number => Math.ceil(bytes / PAGE) * PAGE;

/** What the card may do with a region. The host itself always may. */
export interface CardAccess {
  readonly cardMayRead: boolean;
  readonly cardMayWrite: boolean;
}

/** A mapped piece of host memory. Disposing unmaps it: the card's next access is an unsupported request. */
export interface Region extends Disposable {
  /** Bus address, 4 KiB aligned. */
  readonly address: number;
  /** The memory itself; zeros at first. The card changes it only while frames are applied. */
  readonly bytes: Uint8Array;
}

interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly bytes: Uint8Array;
  readonly access: CardAccess;
}

const NOTHING: Mapping = {
  start: Infinity,
  end: -Infinity,
  bytes: new Uint8Array(0),
  access: { cardMayRead: false, cardMayWrite: false },
};

export class SystemMemory {
  /** Sorted by address: addresses only ever grow. */
  readonly #mappings: Mapping[] = [];
  #nextAddress = WINDOW_BASE;
  /** The last mapping that was hit: a card writes many times in a row to one place. */
  #last = NOTHING;

  /** Regions mapped now. */
  get regions(): number {
    return this.#mappings.length;
  }

  /** Maps `length` bytes of fresh, zeroed memory. @throws {RangeError} if `length` is not a positive integer */
  map(length: number, access: CardAccess): Region {
    if (!(Number.isInteger(length) && length > 0)) {
      throw new RangeError(`Cannot map ${length} bytes: wanted a positive integer`);
    }
    const start = this.#nextAddress;
    const mapping: Mapping = {
      start,
      end: start + length,
      bytes: new Uint8Array(length),
      access: { cardMayRead: access.cardMayRead, cardMayWrite: access.cardMayWrite },
    };
    this.#nextAddress += pages(length) + PAGE;
    this.#mappings.push(mapping);
    return {
      address: start,
      bytes: mapping.bytes,
      [Symbol.dispose]: () => this.#unmap(mapping),
    };
  }

  /** The card's posted write. @throws {UnsupportedRequest} if any byte of it lies outside a writable region */
  write(address: number, bytes: Uint8Array): void {
    const mapping = this.#find(address, bytes.length);
    if (mapping === undefined || !mapping.access.cardMayWrite) {
      throw refused("write", address, bytes.length, mapping);
    }
    mapping.bytes.set(bytes, address - mapping.start);
  }

  /** The card's read. @throws {UnsupportedRequest} if any byte of it lies outside a readable region */
  read(address: number, into: Uint8Array): void {
    const mapping = this.#find(address, into.length);
    if (mapping === undefined || !mapping.access.cardMayRead) {
      throw refused("read", address, into.length, mapping);
    }
    const at = address - mapping.start;
    into.set(mapping.bytes.subarray(at, at + into.length));
  }

  #find(address: number, length: number): Mapping | undefined {
    const last = this.#last;
    if (address >= last.start && address + length <= last.end) return last;
    let low = 0;
    let high = this.#mappings.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#mappings[middle]!.start <= address) low = middle + 1;
      else high = middle;
    }
    const found = this.#mappings[low - 1];
    if (found === undefined || address + length > found.end) return undefined;
    this.#last = found;
    return found;
  }

  #unmap(mapping: Mapping): void {
    const at = this.#mappings.indexOf(mapping);
    if (at >= 0) this.#mappings.splice(at, 1);
    if (this.#last === mapping) this.#last = NOTHING;
  }
}

function refused(
  act: "read" | "write",
  address: number,
  length: number,
  mapping: Mapping | undefined,
): UnsupportedRequest {
  const why = mapping === undefined ? "not mapped" : `mapped without ${act} access for the card`;
  return new UnsupportedRequest(
    `Cannot ${act} ${length} bytes of system memory at 0x${address.toString(16)}: ${why}`,
  );
}
