/**
 * Walking one descriptor chain of a split ring whose driver may be hostile (virtio 1.3 §2.7.5).
 *
 * Everything is read from card memory that the driver can write, so nothing in it is believed: an index must lie in
 * its table, a chain has at most *queue size* buffers (which ends every loop), every address and length must lie in
 * card memory, and readable comes before writable. An indirect table may end a chain, needs to have been negotiated,
 * and holds no other. A chain that breaks a rule is a {@linkcode DriverError}, never cut short: that would lose data.
 *
 * The result is overwritten by the next walk: nothing is allocated per chain or descriptor.
 *
 * **Budget:** 0.15 us a chain (tests/bench/README.md, "Budgets").
 *
 * @module
 */
import { DriverError } from "../errors.ts";
import type { DriverFault } from "./faults.ts";
import { address64, le16, le32 } from "../scalar.ts";
import { DESC_F, type SplitRing, VIRTQ_DESC } from "./ring.ts";

const { addr: ADDR, len: LEN, flags: FLAGS, next: NEXT } = VIRTQ_DESC.at;
/** Largest total of bytes in one chain (§2.7.4.2). */
const TOTAL_MAX = 0xffff_ffff;

export interface ChainWalkerOptions {
  /** Checked with `checkSplitRing`. */
  readonly ring: SplitRing;
  /** Bytes of card memory. */
  readonly memorySize: number;
  /** INDIRECT_DESC was negotiated. */
  readonly indirect: boolean;
  /** Segments that there is room for; default and least: one chain's, which is the queue size. */
  readonly capacity?: number;
}

/** Walks chains of one queue; its fields tell of the last one walked. */
export class ChainWalker {
  /** Segments of card memory: byte offset and length, never empty. Readable ones first, from `base` on. */
  readonly addresses: Float64Array;
  readonly lengths: Uint32Array;
  /** Segments of each direction. */
  readableCount = 0;
  writableCount = 0;
  /** Bytes of each direction. */
  readableLength = 0;
  writableLength = 0;
  /** Descriptors read: what the walk has cost. */
  steps = 0;
  readonly #table: number;
  readonly #size: number;
  readonly #memorySize: number;
  readonly #indirect: boolean;

  constructor(options: ChainWalkerOptions) {
    const { ring, memorySize, indirect, capacity = ring.size } = options;
    this.#table = ring.descriptorTable;
    this.#size = ring.size;
    this.#memorySize = memorySize;
    this.#indirect = indirect;
    this.addresses = new Float64Array(capacity);
    this.lengths = new Uint32Array(capacity);
  }

  /**
   * Walks the chain that starts at descriptor `head`, in `memory` (all of card memory). Segments are stored from
   * `base` on, where there must be room for *queue size* of them.
   * @throws {DriverError} with the fault code; the fields then mean nothing
   */
  walk(memory: DataView, head: number, base = 0): void {
    let table = this.#table;
    let count = this.#size;
    let index = head;
    let inTable = false;
    let budget = this.#size;
    let writable = false;
    let at = base;
    let total = 0;
    let readableCount = 0;
    let readableLength = 0;
    for (;;) {
      if (index >= count) fault("chain-index", head, `descriptor ${index} of ${count}`);
      const entry = table + index * VIRTQ_DESC.size;
      const flags = le16.get(memory, entry + FLAGS);
      const address = address64.get(memory, entry + ADDR);
      const length = le32.get(memory, entry + LEN);
      // Infinity, for an address past 2^52, fails this too.
      if (!(address + length <= this.#memorySize)) {
        fault("chain-address", head, `${length} bytes at ${address} of ${this.#memorySize}`);
      }
      if (flags & DESC_F.INDIRECT) {
        this.#checkIndirect(head, flags, length, inTable);
        inTable = true;
        table = address;
        count = length / VIRTQ_DESC.size;
        index = 0;
        continue;
      }
      if (budget-- === 0) fault("chain-loop", head, `more than ${this.#size} descriptors`);
      if (flags & DESC_F.WRITE) {
        writable = true;
      } else if (writable) {
        fault("chain-order", head, "device-readable after device-writable");
      }
      if (length > 0) {
        this.addresses[at] = address;
        this.lengths[at] = length;
        at++;
        total += length;
        if (!writable) {
          readableCount++;
          readableLength += length;
        }
      }
      if (!(flags & DESC_F.NEXT)) break;
      index = le16.get(memory, entry + NEXT);
    }
    this.steps = this.#size - budget;
    if (total > TOTAL_MAX) {
      fault("chain-length", head, `${total} bytes, wanted at most ${TOTAL_MAX}`);
    }
    this.readableCount = readableCount;
    this.writableCount = at - base - readableCount;
    this.readableLength = readableLength;
    this.writableLength = total - readableLength;
  }

  /** The rules of §2.7.5.3. WRITE on the descriptor of a table is ignored, as §2.7.5.3.2 asks. */
  #checkIndirect(head: number, flags: number, length: number, inTable: boolean): void {
    if (!this.#indirect) fault("chain-indirect", head, "indirect table was not negotiated");
    if (inTable) fault("chain-indirect", head, "indirect table inside an indirect table");
    if (flags & DESC_F.NEXT) fault("chain-indirect", head, "both INDIRECT and NEXT are set");
    if (length === 0 || length % VIRTQ_DESC.size !== 0) {
      fault("chain-indirect", head, `table of ${length} bytes, wanted a multiple of 16`);
    }
  }
}

function fault(code: DriverFault, head: number, found: string): never {
  throw new DriverError(code, `Cannot walk chain ${head}: ${found}`);
}
