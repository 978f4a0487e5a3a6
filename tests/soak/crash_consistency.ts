/**
 * Crash consistency, long: ext4 on the card, its disk on nbd-server, and the power of that disk cut at hundreds of moments
 * of its log. Every second run has its link cut as it works.
 *
 * The short form is `tests/fault/crash_consistency_test.ts`.
 *
 * @module
 */
import { checkReplays, checkTorn } from "../support/crash_check.ts";
import { crashRun } from "../support/crash_run.ts";
import { Random } from "../support/random.ts";
import type { SoakFigures, SoakRun } from "./types.ts";

/** Of each kind, in a run. */
const POINTS = 100;
const QUICK_POINTS = 10;
const STEPS = 120;
const RUNS = 4;
/** Bytes of link from one cut to the next, at most. */
const CUT_WITHIN = 60_000;

export async function crashConsistency(
  { seed, quick, folder, say }: SoakRun,
): Promise<SoakFigures> {
  const points = quick ? QUICK_POINTS : POINTS;
  const figures = { runs: 0, steps: 0, "log entries": 0, cuts: 0, replays: 0, "torn caches": 0 };
  let unstable = 0;
  for (let number = 0; number < (quick ? 2 : RUNS); number++) {
    const own = `${folder}/${number}`;
    await Deno.mkdir(own);
    const options = { folder: own, seed: seed + number, steps: quick ? STEPS / 4 : STEPS };
    const run = await crashRun(number % 2 === 0 ? options : { ...options, cutWithin: CUT_WITHIN });
    const { entries } = run.history;
    say(`run ${number + 1}: ${entries.length} entries in the log, ${run.cuts} cuts`);
    const random = new Random(seed + number);
    await checkReplays(run, own, points, random);
    say(`run ${number + 1}: ${points} replays are clean and whole`);
    unstable += await checkTorn(run, own, points, random);
    say(`run ${number + 1}: ${points} torn caches are clean and whole`);
    figures.runs++;
    figures.steps += options.steps;
    figures["log entries"] += entries.length;
    figures.cuts += run.cuts;
    figures.replays += points;
    figures["torn caches"] += points;
    await Deno.remove(own, { recursive: true });
  }
  return {
    ...figures,
    "KiB in danger at a torn cache, mean": Math.round(unstable / figures["torn caches"]),
  };
}
