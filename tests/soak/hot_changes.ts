/**
 * Disks that come, grow, are swapped and go, and a cable that is pulled, 500 times.
 *
 * @module
 */
import { hotCycles } from "../support/hot_cycles.ts";
import type { SoakFigures, SoakRun } from "./types.ts";

const CYCLES = 500;
const QUICK_CYCLES = 50;

export async function hotChanges({ quick, folder, say }: SoakRun): Promise<SoakFigures> {
  const cycles = quick ? QUICK_CYCLES : CYCLES;
  const { before, after } = await hotCycles(cycles, folder, say);
  return {
    cycles,
    "image files open more": after.openFiles - before.openFiles,
    "mapped regions more": after.mappedRegions - before.mappedRegions,
    "resident memory, MiB, before and after": `${before.memory}, ${after.memory}`,
  };
}
