/**
 * Kill and verify, long: a Linux card writes and verifies while its link is cut 200 times and its hosts are killed 50
 * times, half of it on a plain link and half over TLS.
 *
 * The short form is `tests/fault/kill_and_verify_test.ts`.
 *
 * @module
 */
import { fioDisk } from "../support/fio_disk.ts";
import { killAndVerify } from "../support/kill_and_verify.ts";
import { passtEnvironment } from "../support/lab.ts";
import type { SoakFigures, SoakRun } from "./types.ts";

const CUTS = 100;
const KILLS = 25;
const QUICK = { cuts: 10, kills: 3 } as const;
/** No process lives longer, ms. */
const LIMIT = 45 * 60_000;

export async function killAndVerifySoak(
  { seed, quick, folder, say }: SoakRun,
): Promise<SoakFigures> {
  const fio = await fioDisk();
  const passt = await passtEnvironment();
  const figures: Record<string, number | string> = {};
  for (const link of ["plain", "TLS"]) {
    const own = `${folder}/${link}`;
    await Deno.mkdir(own);
    const { ping, fio: verified, longestPause, acknowledged, ...counts } = await killAndVerify({
      folder: own,
      seed: link === "plain" ? seed : seed + 1,
      cuts: quick ? QUICK.cuts : CUTS,
      kills: quick ? QUICK.kills : KILLS,
      secure: link === "TLS",
      fio,
      passt,
      limit: LIMIT,
      say: (line) => say(`${link}: ${line}`),
    });
    await Deno.remove(own, { recursive: true });
    const named = {
      ...counts,
      "numbered writes, all there": acknowledged,
      "fio passes": verified.passes,
      "fio MiB written and verified": verified.mebibytes,
      "fio slowest request, ms": Math.round(verified.slowest),
      "longest pause, ms": longestPause,
      ping,
    };
    for (const [name, figure] of Object.entries(named)) figures[`${link}: ${name}`] = figure;
  }
  return figures;
}
