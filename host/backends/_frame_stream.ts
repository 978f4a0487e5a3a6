/**
 * Ethernet frames on a byte stream, each behind its length as a big-endian u32: what passt (and QEMU's
 * `-netdev stream`) speaks. Frames are taken apart in the receive buffer, without a copy.
 *
 * Invariant: the 12 bytes before a frame are free to become its virtio-net header, for they are its length and the end
 * of the frame before, which is done with; the buffer begins with room for that.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";

/** Bytes of the virtio-net header, and of the length field. */
export const HEADER = 12;
export const LENGTH = 4;
/** Bytes of an Ethernet frame: the shortest is a bare header, the longest what passt takes. */
export const FRAME = { min: 14, max: 65535 } as const;

const HEADROOM = HEADER - LENGTH;
const BUFFER = HEADROOM + 256 * 1024;

/** Takes a stream apart into frames. */
export class FrameReader {
  readonly #bytes = new Uint8Array(BUFFER);
  /** The unread part. */
  #start = HEADROOM;
  #end = HEADROOM;
  /** Length of the frame at `#start` whose length field is already overwritten, or 0. */
  #current = 0;

  /** Where to read the stream on into; room for one whole frame at least. Not between `next` and `taken`. */
  get space(): Uint8Array {
    if (this.#start === this.#end) {
      this.#start = this.#end = HEADROOM;
    } else if (BUFFER - this.#end < LENGTH + FRAME.max) {
      this.#bytes.copyWithin(HEADROOM, this.#start, this.#end);
      this.#end -= this.#start - HEADROOM;
      this.#start = HEADROOM;
    }
    return this.#bytes.subarray(this.#end);
  }

  /** `count` bytes were read into `space`. */
  filled(count: number): void {
    this.#end += count;
  }

  /**
   * The next whole frame with an all-zero virtio-net header before it, the same one until `taken`; undefined when more
   * of the stream is needed.
   *
   * @throws {BackendError} on a length that no frame has: the stream cannot be followed any further
   */
  next(): Uint8Array | undefined {
    if (this.#current === 0) {
      const at = this.#start;
      if (this.#end - at < LENGTH) return undefined;
      const bytes = this.#bytes;
      const length =
        (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
      if (length < FRAME.min || length > FRAME.max) {
        throw new BackendError(
          `Cannot read frames: length ${length}, wanted ${FRAME.min} to ${FRAME.max}`,
        );
      }
      if (this.#end - at < LENGTH + length) return undefined;
      this.#bytes.fill(0, at - HEADROOM, at + LENGTH);
      this.#current = length;
    }
    return this.#bytes.subarray(this.#start - HEADROOM, this.#start + LENGTH + this.#current);
  }

  /** The frame of `next` is done with. */
  taken(): void {
    this.#start += LENGTH + this.#current;
    this.#current = 0;
  }
}

/** Puts one frame (header + Ethernet frame) on the stream: into `out`, length first. Returns the bytes used. */
export function putFrame(frame: Uint8Array, out: Uint8Array): number {
  const length = frame.length - HEADER;
  out[0] = 0;
  out[1] = length >> 16;
  out[2] = length >> 8;
  out[3] = length;
  out.set(frame.subarray(HEADER), LENGTH);
  return LENGTH + length;
}
