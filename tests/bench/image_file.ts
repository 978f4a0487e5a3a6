/**
 * A disk's image, read and written as the bridge's host does it: positioned and synchronous.
 *
 * @module
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";

export class ImageFile implements Disposable {
  /** Bytes. */
  readonly size: number;
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "r+");
    this.size = fstatSync(this.#file).size;
  }

  /** Fills all of `into`. */
  read(position: number, into: Uint8Array): void {
    for (let done = 0; done < into.length;) {
      const count = readSync(this.#file, into, done, into.length - done, position + done);
      if (count === 0) throw new RangeError(`Cannot read at ${position + done}: the image ends`);
      done += count;
    }
  }

  write(position: number, from: Uint8Array): void {
    for (let done = 0; done < from.length;) {
      done += writeSync(this.#file, from, done, from.length - done, position + done);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}
