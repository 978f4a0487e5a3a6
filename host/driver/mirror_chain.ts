/**
 * One chain that a mirror queue handed out: the parsed record, and what goes with it. Pooled: an object serves one
 * chain after another, and holding it after it was pushed means nothing.
 *
 * @module
 */
import { ChainRecord } from "../../protocol/mod.ts";
import type { DescriptorChain } from "./virtio_device.ts";

const NOTHING = new Uint8Array(0);

export class MirrorChain extends ChainRecord implements DescriptorChain {
  /** Handed out and not given back. */
  open = false;
  readonly #staging: Uint8Array;
  #pushed: Uint8Array = NOTHING;
  /** Where `locate` stopped: number of a writable segment, and the chain offset at which it begins. */
  #segment = 0;
  #start = 0;

  constructor(staging: Uint8Array) {
    super();
    this.#staging = staging;
  }

  /** Made on demand, and kept as long as records come to lie in the same place. */
  get pushed(): Uint8Array {
    const { pushedOffset, pushedLength } = this;
    if (pushedLength === 0) return NOTHING;
    const last = this.#pushed;
    const begin = this.#staging.byteOffset + pushedOffset;
    if (last.length === pushedLength && last.byteOffset === begin) return last;
    return this.#pushed = this.#staging.subarray(pushedOffset, pushedOffset + pushedLength);
  }

  /** Begins a new chain, just parsed. */
  begin(): void {
    this.open = true;
    this.#segment = this.readableCount;
    this.#start = 0;
  }

  /**
   * Number of the segment that holds writable byte `offset` of the chain, which must exist. A device writes forward,
   * so the search goes on where the last one ended.
   */
  locate(offset: number): number {
    if (offset < this.#start) {
      this.#segment = this.readableCount;
      this.#start = 0;
    }
    while (offset >= this.#start + this.lengths[this.#segment]!) {
      this.#start += this.lengths[this.#segment++]!;
    }
    return this.#segment;
  }

  /** Chain offset at which the segment last located begins. */
  get located(): number {
    return this.#start;
  }
}
