/**
 * Every state in which a power cut may have left a disk, from its first contents and the log of what was asked of it.
 *
 * A disk with a volatile write cache promises little: what was acknowledged before a flush was asked for is on the medium
 * once that flush is acknowledged. Of everything else any part may be there, whatever came later.
 *
 * @module
 */
import { COMMAND } from "../../host/backends/nbd/protocol.ts";
import type { LogEntry } from "./nbd_log.ts";
import type { Random } from "./random.ts";

/** Bytes that are on the medium whole or not at all: the smallest block that ext4 can have, and a superblock. */
export const UNIT = 1024;

/** A write, or a range that reads as zeros afterwards. */
interface Change {
  readonly offset: number;
  readonly length: number;
  readonly data: Uint8Array | undefined;
  acknowledged: boolean;
  stable: boolean;
}

export class DiskHistory {
  /** Units changed, in all. */
  readonly units: number;
  readonly entries: readonly LogEntry[];
  readonly #base: Uint8Array;

  constructor(base: Uint8Array, entries: readonly LogEntry[]) {
    this.#base = base;
    this.entries = entries;
    this.units = changesOf(entries).reduce((sum, { length }) => sum + length / UNIT, 0);
  }

  /** The disk when the first `units` units had been changed and nothing more, as `nbd-trplay -m` makes it. */
  replayed(units: number): Uint8Array {
    const disk = this.#base.slice();
    let left = units;
    for (const change of changesOf(this.entries)) {
      const count = Math.min(left, change.length / UNIT);
      apply(disk, change, 0, count * UNIT);
      left -= count;
      if (left === 0) break;
    }
    return disk;
  }

  /**
   * The disk after a power cut behind the first `count` entries: what was flushed by then, and of the rest each unit with
   * a probability of `kept`.
   */
  torn(count: number, kept: number, random: Random): Uint8Array {
    const disk = this.#base.slice();
    for (const change of changesOf(this.entries.slice(0, count))) {
      if (change.stable) {
        apply(disk, change, 0, change.length);
        continue;
      }
      for (let at = 0; at < change.length; at += UNIT) {
        if (random.below(1000) < kept * 1000) apply(disk, change, at, at + UNIT);
      }
    }
    return disk;
  }

  /** Units that are in danger behind the first `count` entries. */
  unstable(count: number): number {
    return changesOf(this.entries.slice(0, count))
      .reduce((sum, { stable, length }) => stable ? sum : sum + length / UNIT, 0);
  }
}

/** All changes, in order, and which of them are stable after the last of `entries`. */
function changesOf(entries: readonly LogEntry[]): Change[] {
  const changes: Change[] = [];
  let asked = new Map<number, Change>();
  let flushes = new Map<number, Change[]>();
  let unstable: Change[] = [];
  for (const entry of entries) {
    if (entry.kind === "client") {
      asked = new Map();
      flushes = new Map();
    } else if (entry.kind === "reply") {
      if (entry.error !== 0) throw new Error(`Cannot replay: request ${entry.cookie} failed`);
      const change = asked.get(entry.cookie);
      if (change !== undefined) change.acknowledged = true;
      for (const flushed of flushes.get(entry.cookie) ?? []) flushed.stable = true;
      unstable = unstable.filter(({ stable }) => !stable);
    } else if (entry.command === COMMAND.FLUSH) {
      flushes.set(entry.cookie, unstable.filter(({ acknowledged }) => acknowledged));
    } else if (entry.command !== COMMAND.READ && entry.command !== COMMAND.DISC) {
      const { offset, length, data, cookie } = entry;
      const change = { offset, length, data, acknowledged: false, stable: false };
      changes.push(change);
      unstable.push(change);
      asked.set(cookie, change);
    }
  }
  return changes;
}

function apply(disk: Uint8Array, { offset, data }: Change, from: number, to: number): void {
  if (data === undefined) disk.fill(0, offset + from, offset + to);
  else disk.set(data.subarray(from, to), offset + from);
}
