/**
 * `deno task soak`: the long forms of the proofs, one after the other, each with its seed and its figures.
 *
 * `README.md` beside this file says what each of them shows.
 *
 * @module
 */
import { CommandError, EXIT, parseOptions, runMain, wholeNumber } from "../../scripts/cli/mod.ts";
import { boots } from "./boots.ts";
import { chains } from "./chains.ts";
import { crashConsistency } from "./crash_consistency.ts";
import { cutEverywhere } from "./cut_everywhere.ts";
import { frames } from "./frames.ts";
import { manyCards } from "./many_cards.ts";
import { hotChanges } from "./hot_changes.ts";
import { registers } from "./registers.ts";
import { killAndVerifySoak } from "./kill_and_verify.ts";
import type { Soak } from "./types.ts";

const SOAKS: Readonly<Record<string, Soak>> = {
  boots,
  chains,
  "crash-consistency": crashConsistency,
  "cut-everywhere": cutEverywhere,
  frames,
  "hot-changes": hotChanges,
  registers,
  "kill-and-verify": killAndVerifySoak,
  "many-cards": manyCards,
};
const NAMES = Object.keys(SOAKS).join(", ");

const COMMAND = {
  name: "deno task soak",
  about: "runs the proofs that take too long for every day: each prints its seed and its figures.",
  options: {
    quick: { kind: "flag", help: "A short form of each, to try it out." },
    only: { kind: "list", value: "NAME", help: `Of ${NAMES}.` },
    seed: { kind: "text", value: "NUMBER", help: "Repeats a run; random by default." },
    json: { kind: "text", value: "FILE", help: "Write all figures there as JSON, too." },
  },
} as const;

const SEED_MAX = 2 ** 31 - 1;

await runMain("soak", async () => {
  const options = parseOptions(COMMAND, Deno.args);
  if (options === undefined) return EXIT.ok;
  const { quick, only, json } = options;
  for (const name of only) {
    if (!Object.hasOwn(SOAKS, name)) {
      throw new CommandError(EXIT.usage, `Cannot run soak "${name}": wanted one of ${NAMES}`);
    }
  }
  const seed = wholeNumber("seed", options.seed, {
    min: 0,
    max: SEED_MAX,
    default: crypto.getRandomValues(new Uint32Array(1))[0]! & SEED_MAX,
  });
  const results: Record<string, unknown> = {};
  let failed = 0;
  for (const [name, soak] of Object.entries(SOAKS)) {
    if (only.length > 0 && !only.includes(name)) continue;
    console.log(`soak: ${name}, seed ${seed}`);
    const folder = await Deno.makeTempDir({ prefix: "knightsbridge-soak-" });
    const begun = performance.now();
    try {
      const say = (line: string) => console.error(`${name}: ${line}`);
      const figures = await soak({ seed, quick, folder, say });
      const seconds = Math.round((performance.now() - begun) / 1000);
      results[name] = { ...figures, seconds };
      for (const [what, figure] of Object.entries(figures)) console.log(`  ${what}: ${figure}`);
      console.log(`  passed in ${seconds} s`);
    } catch (error) {
      failed++;
      results[name] = { failed: String(error) };
      console.log(`  FAILED: ${Deno.inspect(error)}`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  if (json !== undefined) {
    const date = new Date().toISOString();
    await Deno.writeTextFile(json, JSON.stringify({ date, seed, quick, results }, null, 2) + "\n");
  }
  return failed === 0 ? EXIT.ok : EXIT.failure;
});
