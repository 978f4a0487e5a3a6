/**
 * Incremental frame decoder: one receive buffer, parsed in place.
 *
 * The transport reads into `space()`, `filled()` says how much came, `next()` steps from whole frame to whole frame
 * and leaves its header in the fields and its body at `body`; a partial frame stays for the next read. Nothing is
 * allocated per frame. The buffer holds the largest frame the rules allow, so a frame that is awaited always fits.
 *
 * **Budget:** 0.05 us a frame (tests/bench/README.md, "Budgets").
 *
 * @module
 */
import { viewOf } from "../layout.ts";
import { le16, le32, u8 } from "../scalar.ts";
import { type FrameRules, HEADER } from "./frame.ts";

/** With less room than this behind a partial frame, the frame is moved to the front: reads stay large. */
const MIN_SPACE = 64 * 1024;
/** What one read takes at most: it is still in the processor's cache when it is applied. A payload and what goes with it fit. */
const MAX_SPACE = 160 * 1024;

export class FrameReader {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  rules: FrameRules;
  /** Header of the frame that `next` stands on. */
  type = 0;
  code = 0;
  tag = 0;
  length = 0;
  sequence = 0;
  ack = 0;
  /** Offset of its body in `bytes`; valid until the next `space()`. */
  body = 0;
  #next = 0;
  #end = 0;

  /** `largestBody` in bytes: what the rules will allow at most. */
  constructor(rules: FrameRules, largestBody: number) {
    this.rules = rules;
    this.bytes = new Uint8Array(
      Math.max(256 * 1024, MIN_SPACE + 2 * (HEADER.size + largestBody)),
    );
    this.view = viewOf(this.bytes);
  }

  /** Where the next bytes of the stream go: MIN_SPACE to MAX_SPACE. */
  space(): Uint8Array {
    const have = this.#end - this.#next;
    if (have === 0) {
      this.#next = this.#end = 0;
    } else if (this.#end + MIN_SPACE > this.bytes.length) {
      this.bytes.copyWithin(0, this.#next, this.#end);
      this.#next = 0;
      this.#end = have;
    }
    return this.bytes.subarray(this.#end, this.#end + MAX_SPACE);
  }

  /** `count` bytes of `space()` are there. */
  filled(count: number): void {
    this.#end += count;
  }

  /** Steps to the next frame; false until it is whole. @throws {ProtocolError} malformed, by its header */
  next(): boolean {
    const at = this.#next;
    const have = this.#end - at;
    if (have < HEADER.size) return false;
    const { view } = this;
    const type = u8.get(view, at + HEADER.at.type);
    const length = le32.get(view, at + HEADER.at.length);
    this.rules.check(type, length);
    const size = HEADER.size + length;
    if (have < size) return false;
    this.type = type;
    this.length = length;
    this.code = u8.get(view, at + HEADER.at.code);
    this.tag = le16.get(view, at + HEADER.at.tag);
    this.sequence = le32.get(view, at + HEADER.at.sequence);
    this.ack = le32.get(view, at + HEADER.at.ack);
    this.body = at + HEADER.size;
    this.#next = at + size;
    return true;
  }

  /** Forgets what is there: a new stream begins. */
  reset(): void {
    this.#next = this.#end = 0;
  }
}
