/**
 * A transport whose network takes some bytes at once: a filter over another one.
 *
 * @module
 */
import type { Transport } from "../../protocol/mod.ts";

/** `inner`, but with a `writeNow` that takes at most `takes()` bytes, in the order of all that is written. */
export function takingNow(inner: Transport, takes: () => number): Transport {
  let before: Promise<void> = Promise.resolve();
  const write = (bytes: Uint8Array) => {
    const written = before.then(() => inner.write(bytes));
    before = written.catch(() => {});
    return written;
  };
  return {
    peer: inner.peer,
    read: (into) => inner.read(into),
    writeNow(bytes) {
      const taken = Math.min(bytes.length, takes());
      // What is taken is the network's: the caller may use the place again.
      if (taken > 0) write(bytes.slice(0, taken)).catch(() => {});
      return taken;
    },
    write,
    close: () => inner.close(),
    [Symbol.asyncDispose]: async () => await inner[Symbol.asyncDispose](),
  };
}
