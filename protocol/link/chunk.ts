/**
 * One chunk of the outgoing stream: a run of whole frames, back to back, in one buffer.
 *
 * The same bytes are batch, send queue and replay buffer: encoded once, written from where they lie, and kept until
 * the peer has acknowledged the last of them.
 *
 *     0 ......... sent ......... ready ......... end ......... size
 *      written      may leave      held for credit     free
 *
 * @module
 */
import { viewOf } from "../layout.ts";
import { le32 } from "../scalar.ts";
import { HEADER } from "./frame.ts";

export class Chunk {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  sent = 0;
  ready = 0;
  end = 0;
  /** Sequence numbers of the last frame before `end`, and of the last one before `ready`. */
  lastSequence = 0;
  readySequence = 0;
  /** The transport still reads from it. */
  writing = false;

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.view = viewOf(this.bytes);
  }

  /** Bytes of the frame at offset `at`. */
  frameSize(at: number): number {
    return HEADER.size + le32.get(this.view, at + HEADER.at.length);
  }

  /** Offset of the frame with number `sequence`, which must be in here. */
  find(sequence: number): number {
    let at = 0;
    while (le32.get(this.view, at + HEADER.at.sequence) !== sequence) at += this.frameSize(at);
    return at;
  }

  clear(): void {
    this.sent = this.ready = this.end = 0;
  }
}
