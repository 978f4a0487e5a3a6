/**
 * `deno task bench`: what the bridge costs and what it carries, beside its peers, in one run and one table.
 *
 * `README.md` beside this file says what each number means.
 *
 * @module
 */
import { CommandError, EXIT, parseOptions, runMain } from "../../scripts/cli/mod.ts";
import { block } from "./block.ts";
import { boot } from "./boot.ts";
import { type Benchmark, type Section, table } from "./figures.ts";
import { link, resume } from "./link.ts";
import { linuxDisk } from "./linux_disk.ts";
import { net } from "./net.ts";
import { roundTrips } from "./round_trips.ts";

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  boot,
  "round-trips": roundTrips,
  "linux-disk": linuxDisk,
  block,
  link,
  resume,
  net,
};
const NAMES = Object.keys(BENCHMARKS).join(", ");

const COMMAND = {
  name: "deno task bench",
  about: "measures the bridge beside its peers: two processes on loopback, variants in turns.",
  options: {
    quick: { kind: "flag", help: "Fewer and shorter rounds." },
    only: { kind: "list", value: "NAME", help: `Of ${NAMES}.` },
    json: { kind: "text", value: "FILE", help: "Write all figures there as JSON, too." },
  },
} as const;

await runMain("bench", async () => {
  const options = parseOptions(COMMAND, Deno.args);
  if (options === undefined) return EXIT.ok;
  const { quick, only, json } = options;
  for (const name of only) {
    if (!Object.hasOwn(BENCHMARKS, name)) {
      throw new CommandError(EXIT.usage, `Cannot run benchmark "${name}": wanted one of ${NAMES}`);
    }
  }
  const folder = await Deno.makeTempDir({ prefix: "knightsbridge-bench-" });
  const date = new Date().toISOString();
  const sections: Section[] = [];
  try {
    for (const [name, run] of Object.entries(BENCHMARKS)) {
      if (only.length > 0 && !only.includes(name)) continue;
      console.error(`bench: ${name} ...`);
      const notes: string[] = [];
      const rows = await run({ quick, folder, note: (text) => notes.push(text) });
      const section = { name, rows, notes };
      sections.push(section);
      console.log(table([section]));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  if (json !== undefined) {
    await Deno.writeTextFile(json, JSON.stringify({ date, quick, sections }, null, 2) + "\n");
  }
  return EXIT.ok;
});
