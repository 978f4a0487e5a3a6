/**
 * Block: the diagnostic OS's load generator across the bridge, beside fio on nbdkit with the same file, and beside the
 * bare link, in turns.
 *
 * @module
 */
import { BenchCard } from "./bench_card.ts";
import { Ceiling } from "./ceiling.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import { Fio } from "./fio.ts";
import {
  type DiskLoad,
  isSmall,
  LOADS,
  makeDisk,
  nameOf,
  runLoad,
  Samples,
  SIZES,
  unitOf,
} from "./loads.ts";

const FIO = "fio on nbdkit";
const LINK = "bare link";
/** Of the ratio to fio. */
const WANTED_SMALL = "ratio at least 1.3";
const WANTED_LARGE = "ratio at least 1";
const WANTED_OF_LINK = "ratio at least 0.7";
/** Code that is not compiled yet has no figure; at depth 1 it is another's than at depth 32. s */
const WARM_UP = 0.25;
const WARM_UP_ALONE = 0.75;

export async function block({ quick, folder, note, progress }: BenchContext): Promise<Row[]> {
  const seconds = quick ? 0.06 : 1;
  const rounds = quick ? 2 : 5;
  const disk = `${folder}/block.img`;
  await makeDisk(disk);
  await using owned = new AsyncDisposableStack();
  const fio = owned.use(await Fio.start(disk, note) ?? null);
  const card = owned.use(await BenchCard.start({ os: "diag", disk }));
  const ceiling = owned.use(await Ceiling.start());
  for (const load of LOADS.filter(({ rw }) => rw.startsWith("rand"))) {
    if (load.depth === 1 && !isSmall(load)) continue;
    const long = load.depth === 1 ? WARM_UP_ALONE : WARM_UP;
    await runLoad(card, load, long);
    await ceiling.run(framesOf(load), long);
  }
  const rows: Row[] = [];
  for (const loads of groups(LOADS)) {
    const [{ bs, depth }] = loads as [DiskLoad];
    progress(`${bs}, depth ${depth}`);
    const samples = loads.map((load) => new CellSamples(load));
    for (let round = 0; round < rounds; round++) {
      for (const { load, bridge } of samples) bridge.add(await runLoad(card, load, seconds));
      const results = await fio?.run(loads, seconds) ?? [];
      for (const [index, result] of results.entries()) samples[index]!.fio.add(result);
      for (const { load, link } of samples) link.add(await ceiling.run(framesOf(load), seconds));
    }
    rows.push(...samples.map((cell) => cell.row()));
  }
  return rows;
}

/** Loads of one size and depth. */
function groups(loads: readonly DiskLoad[]): DiskLoad[][] {
  return [...Map.groupBy(loads, ({ bs, depth }) => `${bs} ${depth}`).values()];
}

class CellSamples {
  readonly load: DiskLoad;
  readonly bridge: Samples;
  readonly fio: Samples;
  readonly link: Samples;

  constructor(load: DiskLoad) {
    this.load = load;
    this.bridge = new Samples(load);
    this.fio = new Samples(load);
    this.link = new Samples(load);
  }

  row(): Row {
    const { load, bridge, fio, link } = this;
    const latencies = { bridge: bridge.latencies, [FIO]: fio.latencies, [LINK]: link.latencies };
    const wanted = {
      [FIO]: isSmall(load) ? WANTED_SMALL : WANTED_LARGE,
      [LINK]: WANTED_OF_LINK,
    } as const;
    return row(
      nameOf(load),
      unitOf(load),
      { bridge: bridge.values, [FIO]: fio.values, [LINK]: link.values },
      { wanted, latencies, detail: { latency_us: latencies } },
    );
  }
}

/** The bare link does not know one place of a disk from another. */
const framesOf = ({ rw, bs, depth }: DiskLoad) => ({
  write: rw.endsWith("write"),
  bytes: SIZES[bs],
  depth,
});
