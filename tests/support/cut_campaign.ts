/**
 * Many runs of the scripted session, each cut elsewhere, compared with the one that was not cut.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { type CutOptions, type CutPlan, type CutRun, runCut } from "./cut_rig.ts";
import type { Cut, Direction } from "./proxy.ts";

export const DIRECTIONS = ["cardToHost", "hostToCard"] as const;
/** Runs at a time: they wait more than they work. */
const AT_ONCE = 48;

export interface CampaignFigures {
  readonly runs: number;
  /** Cuts that came before the session was over. */
  readonly cuts: number;
  /** Times that a session came back. */
  readonly reconnects: number;
  /** First cuts by the frame that they fell into: type in hexadecimal, or `greeting`. */
  readonly places: Readonly<Record<string, number>>;
}

/** Who says goodbye where `direction` is cut, so that the goodbye is cut too. */
export const closerOf = (direction: Direction): "card" | "host" =>
  direction === "cardToHost" ? "card" : "host";

/** Plays a session for each of `plans`. @throws {AssertionError} naming the cuts, if one ends otherwise than `whole` */
export async function campaign(
  plans: readonly (readonly CutPlan[])[],
  whole: CutRun,
  options: CutOptions = {},
): Promise<CampaignFigures> {
  let next = 0;
  let cuts = 0;
  let reconnects = 0;
  const places: Record<string, number> = {};
  const worker = async () => {
    while (next < plans.length) {
      const plan = plans[next++]!;
      const run = await runCut(plan, { closer: closerOf(plan[0]!.direction), ...options });
      assertEquals(run.outcome, whole.outcome, JSON.stringify(plan));
      cuts += run.cuts;
      reconnects += run.reconnects;
      if (run.place === undefined) continue;
      const name = run.place.type?.toString(16).padStart(2, "0") ?? "greeting";
      places[name] = (places[name] ?? 0) + 1;
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  const failed = workers.find((worker) => worker.status === "rejected");
  if (failed) throw failed.reason;
  return { runs: plans.length, cuts, reconnects, places };
}

/** A session for each byte of `direction`, or for each `step`th, and for those `around` every frame's beginning. */
export function cutsOf(
  whole: CutRun,
  direction: Direction,
  how: Cut,
  step = 1,
  around = false,
): CutPlan[][] {
  const places = new Set<number>();
  for (let at = 0; at < whole.bytes[direction]; at += step) places.add(at);
  if (around) {
    for (const { at } of whole.frames[direction]) {
      for (const near of [at - 1, at, at + 1]) places.add(near);
    }
  }
  return [...places].toSorted((a, b) => a - b).map((at) => [{ direction, at, how }]);
}
