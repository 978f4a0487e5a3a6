/**
 * A transport that breaks after so many bytes: a filter over another one.
 *
 * @module
 */
import { LinkError, type Transport } from "../../protocol/mod.ts";

/**
 * `inner`, but of all that is written only the first `budget` bytes arrive, and the connection ends soon after. With
 * `swallow`, what is written until then is taken as if all was well, as a kernel does whose cable is cut.
 */
export function cutAfter(inner: Transport, budget: number, swallow: boolean): Transport {
  let left = budget;
  let cut = false;
  return {
    peer: inner.peer,
    read: (into) => inner.read(into),
    async write(bytes) {
      const arrives = Math.min(bytes.length, left);
      left -= arrives;
      if (!cut) await inner.write(bytes.subarray(0, arrives));
      if (arrives === bytes.length) return;
      if (swallow && !cut) setTimeout(() => inner.close());
      cut = true;
      if (swallow) return;
      inner.close();
      throw new LinkError("Cannot write to peer: the cable was cut");
    },
    close: () => inner.close(),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}
