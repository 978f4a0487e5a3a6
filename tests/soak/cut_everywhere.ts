/**
 * A scripted session of every kind of frame over TCP, cut at every byte that either side sends: closed, reset, left
 * half-open; twice and three times while it is resumed; and under TLS.
 *
 * @module
 */
import {
  campaign,
  type CampaignFigures,
  closerOf,
  cutsOf,
  DIRECTIONS,
} from "../support/cut_campaign.ts";
import { type CutPlan, type CutRun, runCut } from "../support/cut_rig.ts";
import { Random } from "../support/random.ts";
import type { SoakFigures, SoakRun } from "./types.ts";

/** Sessions that are cut again while they are resumed, each way. */
const AGAIN = 2000;

export async function cutEverywhere({ seed, quick, say }: SoakRun): Promise<SoakFigures> {
  const figures: Record<string, number | string> = {};
  const step = quick ? 29 : 1;
  const add = (name: string, { cuts, reconnects, places }: CampaignFigures) => {
    figures[`${name}: cuts`] = cuts;
    figures[`${name}: sessions resumed`] = reconnects;
    if (Object.keys(places).length > 0) figures[`${name}: cuts by frame`] = JSON.stringify(places);
    say(`${name}: ${cuts} cuts`);
  };
  for (const direction of DIRECTIONS) {
    const closer = closerOf(direction);
    const whole = await runCut([], { closer });
    figures[`${direction}: frames`] = whole.frames[direction].length;
    for (const how of ["close", "reset", "stall"] as const) {
      add(`${direction}, ${how}`, await campaign(cutsOf(whole, direction, how, step), whole));
    }
    const again = cutsAgain(whole, seed, quick ? AGAIN / 20 : AGAIN);
    add(`${direction}, again and again`, await campaign(again, whole, { closer }));
    const secure = await runCut([], { closer, tls: true });
    add(
      `${direction}, TLS`,
      await campaign(cutsOf(secure, direction, "close", step), whole, { tls: true }),
    );
  }
  return figures;
}

/** Cuts at random, up to four in a session, in either direction. */
function cutsAgain(whole: CutRun, seed: number, count: number): CutPlan[][] {
  const random = new Random(seed);
  const cut = (reach: number): CutPlan => ({
    direction: random.pick(DIRECTIONS),
    at: random.below(reach),
    how: random.oneIn(3) ? "reset" : "close",
  });
  return Array.from({ length: count }, () => [
    cut(whole.bytes.cardToHost),
    ...Array.from({ length: 1 + random.below(3) }, () => cut(600)),
  ]);
}
