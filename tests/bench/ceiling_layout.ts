/**
 * What the two ends of the bare link agree on: a load, and where each keeps what the other posts to it.
 *
 * @module
 */
import type { SpanList } from "../../protocol/mod.ts";

/** A disk load. */
export interface Load {
  readonly write: boolean;
  /** Of each request. */
  readonly bytes: number;
  /** Requests in flight: a power of two, so that numbers mod 2^16 go round their places. */
  readonly depth: number;
  /** Random places of the disk; else one after the other. */
  readonly random: boolean;
  /** Requests that the disk has room for. */
  readonly places: number;
}

/** Entries of the rings. */
export const QUEUE = 128;
export const RING_ENTRY = 4;
/** Bytes of an index. */
export const INDEX = 2;
/** Bytes of one data segment at most, as the host's disk offers it. */
export const SEGMENT = 128 * 1024;

/** Where things are at the host: mirror index, mirror ring, staging, which 32 requests of 1 MiB fit in. */
export const HOST_INDEX = 0;
export const HOST_RING = 16;
export const STAGING = 4096;
export const HOST_MEMORY = STAGING + 33 * 2 ** 20;

/** Where they are at the card: used index, used ring, and data; its registers are elsewhere. */
export const CARD_INDEX = 0;
export const USED_RING = 16;
export const DATA = 4096;
export const CARD_MEMORY = DATA + 64 * 2 ** 20;
export const REGISTERS = 2 ** 32;

/** `count` of the `size` entries of a ring, from number `index` on: two spans if they go round its end. */
export function addRing(
  spans: SpanList,
  ring: { readonly address: number; readonly entry: number; readonly size: number },
  index: number,
  count: number,
): void {
  const { address, entry, size } = ring;
  const slot = index % size;
  const run = Math.min(count, size - slot);
  spans.add(address + entry * slot, entry * run);
  if (run < count) spans.add(address, entry * (count - run));
}
