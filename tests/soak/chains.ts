/**
 * Rings, chains and records that nobody honest writes: millions of them against the walker, the record parser and the
 * ring indices, each on its own; then a driver that does anything at all to a queue with both ends of its mirror.
 *
 * @module
 */
import fc from "fast-check";
import { GuestChaos } from "../support/guest_chaos.ts";
import { Random } from "../support/random.ts";
import {
  movesRound,
  parsesAnyRecord,
  walksAnyBytes,
  walksAsReference,
} from "../support/virtio_properties.ts";
import type { SoakFigures, SoakRun } from "./types.ts";

const CASES = 1_000_000;
const OPERATIONS = 20_000_000;
/** A quick run does a hundredth. */
const QUICK = 100;
/** Cases between two lines of progress, each batch with a seed of its own: `seed` and its number. */
const BATCH = 10_000;
const OPERATIONS_BATCH = 200_000;

export async function chains({ seed, quick, say }: SoakRun): Promise<SoakFigures> {
  const share = quick ? QUICK : 1;
  let whole = 0;
  const properties = {
    "chains against a reference": () => fc.assert(walksAsReference(() => whole++), runs()),
    "chains of any bytes": () => fc.assert(walksAnyBytes(), runs()),
    "records of any bytes": () => fc.assert(parsesAnyRecord(), runs()),
    "pairs of ring indices": () => fc.assert(movesRound(), runs()),
  };
  let batch = 0;
  const runs = () => ({ seed: seed + batch++, numRuns: BATCH, endOnFailure: false });
  const figures: Record<string, number> = {};
  for (const [what, check] of Object.entries(properties)) {
    for (let done = 0; done < CASES / share; done += BATCH) {
      check();
      figures[what] = done + BATCH;
      // Timers and signals of this process have their turn.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    say(`${figures[what]} ${what}`);
  }
  const chaos = new GuestChaos(new Random(seed));
  while (chaos.operations < OPERATIONS / share) {
    chaos.run(OPERATIONS_BATCH);
    if (chaos.operations % (10 * OPERATIONS_BATCH) === 0) say(`${chaos.operations} operations`);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return {
    ...figures,
    "of those chains, whole": whole,
    "operations of a driver": chaos.operations,
    "queues they were done to": chaos.queues,
    ...Object.fromEntries(
      Object.entries(chaos.faults).map(([fault, count]) => [`queues ended by ${fault}`, count]),
    ),
  };
}
