/**
 * A list of spans for `Requester.openWrite` that is filled again and again without allocating.
 *
 * @module
 */
import type { Span } from "./types.ts";

/** Spans that one posted write may have (`Requester.openWrite`). */
export const MAX_SPANS = 1024;

export class SpanList {
  readonly #pool: { address: number; length: number }[] = [];
  readonly #list: Span[] = [];
  #count = 0;
  /** Sum of the lengths, in bytes. */
  total = 0;

  get count(): number {
    return this.#count;
  }

  clear(): void {
    this.#count = 0;
    this.total = 0;
  }

  add(address: number, length: number): void {
    const span = this.#pool[this.#count] ??= { address: 0, length: 0 };
    span.address = address;
    span.length = length;
    this.#list[this.#count++] = span;
    this.total += length;
  }

  /** Makes the last span longer: what follows it directly needs no span of its own. */
  extend(length: number): void {
    this.#pool[this.#count - 1]!.length += length;
    this.total += length;
  }

  /** The spans added since `clear`, valid until the next call here. */
  spans(): readonly Span[] {
    this.#list.length = this.#count;
    return this.#list;
  }
}
