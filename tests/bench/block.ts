/**
 * Block: the diagnostic OS's load generator across the bridge, beside fio on nbdkit with the same file, beside the bare
 * link with the same file, and beside the link alone, in turns.
 *
 * @module
 */
import { BenchCard, type DiskResult } from "./bench_card.ts";
import { Ceiling } from "./ceiling.ts";
import type { Load } from "./ceiling_layout.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import { Fio } from "./fio.ts";
import {
  DISK_BYTES,
  type DiskLoad,
  isSmall,
  LOADS,
  nameOf,
  runLoad,
  Samples,
  sharedDisk,
  SIZES,
  unitOf,
  warmUpOf,
} from "./loads.ts";
import { together } from "./processes.ts";

const BRIDGE = "bridge";
const FIO = "fio on nbdkit";
const LINK = "bare link";
const ALONE = "link alone";
/** Of the ratio to fio. */
const WANTED_SMALL = "ratio at least 1.3";
const WANTED_LARGE = "ratio at least 1";
const WANTED_OF_LINK = "ratio at least 0.7";

/** Seconds. One request at a time is slow to find its pace: each wait depends on how long the last one was. */
const QUICK = { 1: 0.2, 32: 0.06 } as const;
const WHOLE = { 1: 1, 32: 1 } as const;

interface Variant {
  readonly name: string;
  /** None if it is not there. */
  readonly rounds: number;
  /** Of each load, by its depth. */
  readonly seconds: Readonly<Record<1 | 32, number>>;
  /** It compiles its code while it runs. */
  readonly compiles: boolean;
  /** Runs `loads` one after the other. */
  run(loads: readonly DiskLoad[], seconds: number): Promise<DiskResult[]>;
}

export async function block(context: BenchContext): Promise<Row[]> {
  const { quick, progress } = context;
  await using owned = new AsyncDisposableStack();
  const variants = await start(context, owned);
  const kinds = groups(LOADS);
  progress("warm-up");
  for (const { run, compiles } of variants.filter(({ rounds }) => rounds > 0)) {
    if (compiles) await run(warmUpOf(LOADS), quick ? 0.1 : 0.5);
    await run(kinds[0]!, quick ? 0.2 : 2);
  }
  const rows: Row[] = [];
  for (const loads of kinds) {
    const [{ bs, depth }] = loads as [DiskLoad];
    progress(`${bs}, depth ${depth}`);
    rows.push(...await measure(variants, loads));
  }
  return rows;
}

async function start(
  { quick, folder, note }: BenchContext,
  owned: AsyncDisposableStack,
): Promise<Variant[]> {
  const disk = await sharedDisk(folder);
  // Its port was free a moment ago: nobody else must look for one now.
  const fio = owned.use(await Fio.start(disk, note) ?? null);
  const own = (ceiling: Ceiling) => owned.use(ceiling);
  const [card, link, alone] = await together([
    BenchCard.start({ os: "diag", disk }).then((card) => owned.use(card)),
    Ceiling.start(disk).then(own),
    quick ? undefined : Ceiling.start().then(own),
  ]);
  const often = { rounds: quick ? 2 : 5, seconds: quick ? QUICK : WHOLE, compiles: true };
  return [
    { name: BRIDGE, ...often, run: oneByOne((load, seconds) => runLoad(card, load, seconds)) },
    {
      name: FIO,
      // What it does before and after a load takes a quarter of a second.
      rounds: fio === null ? 0 : quick ? 1 : often.rounds,
      seconds: often.seconds,
      compiles: false,
      run: (loads, seconds) => fio!.run(loads, seconds),
    },
    { name: LINK, ...often, run: ceilingRun(link) },
    ...(alone === undefined ? [] : [{ name: ALONE, ...often, run: ceilingRun(alone) }]),
  ];
}

function oneByOne(
  run: (load: DiskLoad, seconds: number) => Promise<DiskResult>,
): Variant["run"] {
  return async (loads, seconds) => {
    const results: DiskResult[] = [];
    for (const load of loads) results.push(await run(load, seconds));
    return results;
  };
}

const ceilingRun = (ceiling: Ceiling): Variant["run"] =>
  oneByOne((load, seconds) => ceiling.run(framesOf(load), seconds));

/** Loads of one size and depth. */
function groups(loads: readonly DiskLoad[]): DiskLoad[][] {
  return [...Map.groupBy(loads, ({ bs, depth }) => `${bs} ${depth}`).values()];
}

/** A row for each of `loads`. */
async function measure(
  variants: readonly Variant[],
  loads: readonly DiskLoad[],
): Promise<Row[]> {
  const cells = loads.map((load) => variants.map(() => new Samples(load)));
  const rounds = Math.max(...variants.map(({ rounds }) => rounds));
  for (let round = 0; round < rounds; round++) {
    for (const [number, variant] of variants.entries()) {
      if (round >= variant.rounds) continue;
      const results = await variant.run(loads, variant.seconds[loads[0]!.depth]);
      for (const [index, result] of results.entries()) cells[index]![number]!.add(result);
    }
  }
  return cells.map((samples, index) => {
    const load = loads[index]!;
    const by = <T>(pick: (samples: Samples) => T): Record<string, T> =>
      Object.fromEntries(variants.map(({ name }, number) => [name, pick(samples[number]!)]));
    const latencies = by(({ latencies }) => latencies);
    return row(nameOf(load), unitOf(load), by(({ values }) => values), {
      wanted: {
        [FIO]: isSmall(load) ? WANTED_SMALL : WANTED_LARGE,
        [LINK]: WANTED_OF_LINK,
      },
      latencies,
      detail: { latency_us: latencies },
    });
  });
}

const framesOf = ({ rw, bs, depth }: DiskLoad): Load => ({
  write: rw.endsWith("write"),
  random: rw.startsWith("rand"),
  bytes: SIZES[bs],
  depth,
  places: DISK_BYTES / SIZES[bs],
});
