/**
 * Bus addresses for BARs: where the host puts a card's memory and registers, as firmware does on a real machine.
 *
 * - **Invariant:** each BAR lies at a multiple of its size, no two overlap, and none meets the system memory window.
 *
 * @module
 */
import { type Bar, ProtocolError } from "../../protocol/mod.ts";
import type { PlacedBar } from "./card_info.ts";
import { WINDOW_BASE } from "./system_memory.ts";

/** First address and end of what each kind of BAR is given. */
const RANGES: Readonly<Record<Bar["kind"], readonly [number, number]>> = {
  /** From 256 GiB up to system memory. */
  memory64: [0x40_0000_0000, WINDOW_BASE],
  /** Below the interrupt controllers at 0xfec00000. */
  memory32: [0xe000_0000, 0xfec0_0000],
  io: [0x1000, 0x1_0000],
};

/** Places the largest first, which leaves no gap between powers of two. @throws {ProtocolError} if one has no room */
export function placeBars(bars: readonly Bar[]): PlacedBar[] {
  const next = {
    memory64: RANGES.memory64[0],
    memory32: RANGES.memory32[0],
    io: RANGES.io[0],
  };
  const placed = bars.toSorted((a, b) => b.size - a.size).map((bar) => {
    const address = Math.ceil(next[bar.kind] / bar.size) * bar.size;
    if (address + bar.size > RANGES[bar.kind][1]) {
      throw new ProtocolError(
        "malformed",
        `Cannot place BAR ${bar.index}: no room for ${bar.kind} of ${bar.size} bytes`,
      );
    }
    next[bar.kind] = address + bar.size;
    return { ...bar, address };
  });
  return placed.sort((a, b) => a.index - b.index);
}
