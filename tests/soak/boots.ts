/**
 * Two hundred boots of one card, with diag and with Linux: no process keeps memory of a boot that is over.
 *
 * @module
 */
import { RUNTIME_SLACK } from "../support/pressure_lab.ts";
import { growth, manyBoots } from "../support/many_boots.ts";
import type { SoakFigures, SoakRun } from "./types.ts";

const BOOTS = 200;
/** Between two looks at the memory. */
const EVERY = 20;
const QUICK = { boots: 20, every: 4 };
/** A busy machine may take a while over 200 boots, ms. */
const LIMIT = 3 * 3600_000;
/** MiB that a process may have more of in the second half: a leak of half a MiB a boot is more. */
const SLACK = 40;
/** So few boots are over before the runtime is at its ease. */
const QUICK_SLACK = RUNTIME_SLACK;

export async function boots({ quick, folder, say }: SoakRun): Promise<SoakFigures> {
  const figures: Record<string, number> = {};
  for (const os of ["diag", "linux"] as const) {
    const own = `${folder}/${os}`;
    await Deno.mkdir(own);
    const run = quick ? QUICK : { boots: BOOTS, every: EVERY };
    const begun = performance.now();
    const samples = await manyBoots({ os, ...run, folder: own, limit: LIMIT, say });
    figures[`${os}: boots`] = run.boots;
    figures[`${os}: ms a boot`] = Math.round((performance.now() - begun) / run.boots);
    for (const end of ["host", "card"] as const) {
      figures[`${os}: ${end}, MiB after ${samples[0]!.boots} boots`] = samples[0]![end];
      figures[`${os}: ${end}, MiB in the end`] = samples.at(-1)![end];
      const grown = figures[`${os}: ${end}, MiB grown`] = growth(samples, end);
      if (grown > (quick ? QUICK_SLACK : SLACK)) {
        throw new Error(
          `${os}: the ${end} has ${grown} MiB more in the second half of ${run.boots} boots: ` +
            samples.map((sample) => sample[end]).join(", "),
        );
      }
    }
  }
  return figures;
}
