/**
 * Crash consistency, long: ext4 on the card, its disk on nbd-server, and the power of that disk cut at hundreds of moments
 * of its log. In turn the card works in peace, with its link cut, and with its hosts killed as well.
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
const QUICK_STEPS = 40;
const RUNS = 6;
const BLOWS = [{}, { cuts: 20 }, { cuts: 20, killEvery: 4 }] as const;
const QUICK_BLOWS = [{}, { cuts: 6 }, { cuts: 6, killEvery: 3 }] as const;

export async function crashConsistency(
  { seed, quick, folder, say }: SoakRun,
): Promise<SoakFigures> {
  const points = quick ? QUICK_POINTS : POINTS;
  const blows = quick ? QUICK_BLOWS : BLOWS;
  const steps = quick ? QUICK_STEPS : STEPS;
  let entries = 0;
  let cuts = 0;
  let kills = 0;
  let unstable = 0;
  const runs = quick ? blows.length : RUNS;
  for (let number = 0; number < runs; number++) {
    const own = `${folder}/${number}`;
    await Deno.mkdir(own);
    const options = blows[number % blows.length]!;
    const run = await crashRun({ folder: own, seed: seed + number, steps, ...options });
    const { length } = run.history.entries;
    say(`run ${number + 1}: ${length} entries in the log, ${run.cuts} cuts, ${run.kills} kills`);
    const random = new Random(seed + number);
    await checkReplays(run, own, points, random);
    unstable += await checkTorn(run, own, points, random);
    say(`run ${number + 1}: ${points} replays and ${points} torn caches are clean and whole`);
    entries += length;
    cuts += run.cuts;
    kills += run.kills;
    await Deno.remove(own, { recursive: true });
  }
  const checked = runs * points;
  return {
    runs,
    "steps, each with fsync": runs * steps,
    "log entries": entries,
    "link cuts": cuts,
    "hosts killed": kills,
    replays: checked,
    "torn caches": checked,
    "KiB in danger at a torn cache, mean": Math.round(unstable / checked),
  };
}
