/**
 * Drivers that write anything into the registers of a virtio-pci function, in any order, against a model of the rules.
 *
 * @module
 */
import fc from "fast-check";
import { registersFollowModel } from "../support/register_model.ts";
import type { SoakFigures, SoakRun } from "./types.ts";

const CASES = 1_000_000;
const QUICK_CASES = 10_000;
/** Cases between two lines of progress, each batch with a seed of its own: `seed` and its number. */
const BATCH = 10_000;

export async function registers({ seed, quick, say }: SoakRun): Promise<SoakFigures> {
  const cases = quick ? QUICK_CASES : CASES;
  let accesses = 0;
  let live = 0;
  const property = registersFollowModel((operations, status) => {
    accesses += operations;
    if (status === 15) live++;
  });
  let done = 0;
  for (let batch = 0; done < cases; batch++, done += BATCH) {
    fc.assert(property, { seed: seed + batch, numRuns: BATCH, endOnFailure: false });
    if (batch % 10 === 9) say(`${done + BATCH} of ${cases}`);
    // Timers and signals of this process have their turn.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return { drivers: done, "accesses and resets": accesses, "drivers that came to DRIVER_OK": live };
}
