/**
 * What a disk request makes the JavaScript engines of host and card allocate: as their garbage collectors count it.
 *
 * @module
 */
import { BenchCard, type End } from "./bench_card.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import { type DiskLoad, nameOf, runLoad, sharedDisk } from "./loads.ts";

const LOADS: readonly DiskLoad[] = [
  { rw: "randread", bs: "4k", depth: 32 },
  { rw: "randwrite", bs: "4k", depth: 32 },
];
const ENDS: readonly End[] = ["host", "card"];
/**
 * One line a collection, some of it JSON: `"allocated"` is in bytes, since the collection before. Young objects have one
 * MiB, so that collections come often enough to count by.
 */
const FLAGS = "--trace-gc-nvp,--max-semi-space-size=1";
const ALLOCATED = /"allocated":(\d+)/g;
/** Bytes: a few views of buffers, and what a turn of the event loop costs, shared by its requests. */
const WANTED = "at most 1024";

export async function allocations({ quick, folder, progress }: BenchContext): Promise<Row[]> {
  const disk = await sharedDisk(folder);
  await using card = await BenchCard.start({ os: "diag", disk, v8Flags: FLAGS });
  const rows: Row[] = [];
  for (const load of LOADS) {
    progress(nameOf(load));
    // What is compiled later allocates otherwise.
    await runLoad(card, load, quick ? 0.5 : 3);
    const samples: Record<End, number[]> = { host: [], card: [] };
    for (let round = 0; round < (quick ? 1 : 5); round++) {
      const before = ENDS.map((end) => allocated(card, end));
      const seconds = quick ? 0.8 : 3;
      const requests = (await runLoad(card, load, seconds)).iops * seconds;
      ENDS.forEach((end, i) => samples[end].push((allocated(card, end) - before[i]!) / requests));
    }
    const wanted = { host: WANTED, card: WANTED } as const;
    rows.push(row(`allocated for a ${nameOf(load)}`, "bytes", samples, { wanted }));
  }
  return rows;
}

/** Bytes, by the last collection. */
function allocated(card: BenchCard, end: End): number {
  let sum = 0;
  for (const [, bytes] of card.stdout(end).matchAll(ALLOCATED)) sum += Number(bytes);
  return sum;
}
