/**
 * `deno task bench`: what the bridge costs and what it carries, beside its peers, in one run and one table.
 *
 * `README.md` beside this file says what each number means.
 *
 * @module
 */
import { CommandError, EXIT, parseOptions, runMain } from "../../scripts/cli/mod.ts";
import { allocations } from "./allocations.ts";
import { block } from "./block.ts";
import { consoleEcho } from "./console.ts";
import { farDisk } from "./far_disk.ts";
import type { BenchContext, Benchmark, Section } from "./figures.ts";
import { growth } from "./growth.ts";
import { link, resume } from "./link.ts";
import { linuxCard } from "./linux_card.ts";
import { network } from "./network.ts";
import { passt } from "./passt.ts";
import { roundTrips } from "./round_trips.ts";
import { scale } from "./scale.ts";
import { setup } from "./setup.ts";
import { start } from "./start.ts";
import { table } from "./table.ts";
import { tls } from "./tls.ts";

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  linux: linuxCard,
  "round-trips": roundTrips,
  block,
  tls,
  scale,
  growth,
  allocations,
  start,
  link,
  resume,
  passt,
  network,
  console: consoleEcho,
  "far-disk": farDisk,
};
const NAMES = Object.keys(BENCHMARKS).join(", ");

const COMMAND = {
  name: "deno task bench",
  about: "measures the bridge beside its peers: two processes on loopback, variants in turns.",
  options: {
    setup: { kind: "flag", help: "Install the peers, as Debian packages, and end." },
    quick: { kind: "flag", help: "Fewer and shorter rounds: less than two minutes." },
    only: { kind: "list", value: "NAME,...", help: `Of ${NAMES}.` },
    json: { kind: "text", value: "FILE", help: "Write all figures there as JSON, too." },
  },
  examples: [
    "deno task bench --setup",
    "deno task bench --quick --only block,tls --json figures.json",
  ],
} as const;

await runMain("bench", async () => {
  const options = parseOptions(COMMAND, Deno.args);
  if (options === undefined) return EXIT.ok;
  if (options.setup) {
    await setup();
    return EXIT.ok;
  }
  const { quick, json } = options;
  const names = chosen(options.only);
  const folder = await Deno.makeTempDir({ prefix: "knightsbridge-bench-" });
  const date = new Date().toISOString();
  const sections: Section[] = [];
  let failed = false;
  try {
    for (const name of names) {
      const begun = performance.now();
      console.error(`bench: ${name} ...`);
      const notes = new Set<string>();
      const context: BenchContext = {
        quick,
        folder,
        note: (text) => notes.add(text),
        progress: (text) => console.error(`bench: ${name}: ${text}`),
      };
      // One that cannot be measured takes no other with it.
      const rows = await BENCHMARKS[name]!(context).catch((error) => {
        failed = true;
        console.error(error);
        notes.add(`failed: ${error.message}`);
        return [];
      });
      sections.push({ name, rows, notes: [...notes] });
      console.error(`bench: ${name} took ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  console.log(table(sections));
  if (json !== undefined) {
    await Deno.writeTextFile(json, JSON.stringify({ date, quick, sections }, null, 2) + "\n");
  }
  return failed ? EXIT.failure : EXIT.ok;
});

/** The names given, in the order of the table; all if there are none. @throws {CommandError} */
function chosen(only: readonly string[]): string[] {
  const given = new Set(only.flatMap((names) => names.split(",")));
  for (const name of given) {
    if (!Object.hasOwn(BENCHMARKS, name)) {
      throw new CommandError(EXIT.usage, `Cannot run benchmark "${name}": wanted one of ${NAMES}`);
    }
  }
  return Object.keys(BENCHMARKS).filter((name) => given.size === 0 || given.has(name));
}
