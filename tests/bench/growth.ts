/**
 * Growth: what a request costs, by the size of its ring, by the size of its disk, and by the link's sequence numbers. None
 * of them is to cost anything.
 *
 * @module
 */
import { Conversation } from "./conversation.ts";
import { type BenchContext, type Row, row, type Wanted } from "./figures.ts";
import type { GrowthDisk, GrowthQuestion } from "./growth_host.ts";
import type { CardsQuestion, CardsResult } from "./load_cards.ts";
import { sharedDisk } from "./loads.ts";
import type { SequenceCost } from "./sequence_cost.ts";

const PERMISSIONS = [
  ...["--allow-net=127.0.0.1", "--allow-read", "--allow-write", "--allow-ffi", "--allow-sys=uid"],
  "--allow-env=HOME,XDG_CACHE_HOME,XDG_CONFIG_HOME",
];
const CARD_PERMISSIONS = ["--allow-net=127.0.0.1"];
const RINGS = [64, 128, 256, 512, 1024] as const;
const GIB = 2 ** 30;
const DISKS = { "1 GiB": GIB, "32 GiB": 32 * GIB, "1 TiB": 1024 * GIB } as const;
/** Reads go to so many places of each disk: what grows is to be the disk, not what the page cache has of it. */
const PLACES = 4096;
const DEPTH = 32;
/** Rounds that do not count: they warm up the code, and the page cache. */
const WARM_UP = 2;
/** The first to each other one: what grows would be a multiple. */
const WANTED: Wanted = "ratio at least 0.8";

/** Microseconds of CPU time by variant, one a round. */
type Costs = readonly (readonly [string, readonly number[]])[];

export async function growth(context: BenchContext): Promise<Row[]> {
  const { quick, folder, progress } = context;
  const rounds = quick ? 5 : 15;
  const seconds = quick ? 0.04 : 0.4;
  const image = await sharedDisk(folder);
  const rings = RINGS.map((queueSize) => ({ choice: `${image},readonly`, queueSize }));
  const sparse = await Promise.all(
    Object.entries(DISKS).map(async ([name, bytes]) => {
      const path = `${folder}/${name.replace(" ", "-")}.img`;
      await Deno.writeFile(path, new Uint8Array());
      await Deno.truncate(path, bytes);
      return { choice: `${path},readonly` };
    }),
  );
  const names = [...RINGS.map((size) => `ring of ${size}`), ...Object.keys(DISKS)];
  progress("rings and disks");
  const costs = await measure([...rings, ...sparse], names, rounds, seconds);
  progress("sequence numbers");
  const sequences = await bySequence(rounds, seconds);
  return [
    growthRow(`4 KiB read at depth ${DEPTH}, CPU time by ring`, costs.slice(0, RINGS.length)),
    growthRow(`4 KiB read at depth ${DEPTH}, CPU time by disk`, costs.slice(RINGS.length)),
    growthRow("4 KiB on the link, CPU time by sequence number", sequences),
  ];
}

/** Of both processes, for one read; the rounds of each disk. */
async function measure(
  disks: readonly GrowthDisk[],
  names: readonly string[],
  rounds: number,
  seconds: number,
): Promise<Costs> {
  await using host = new Conversation("growth_host.ts", PERMISSIONS);
  const port = await host.ask<number>({ type: "start", disks } satisfies GrowthQuestion);
  await using card = new Conversation("load_cards.ts", CARD_PERMISSIONS, [String(port), "1"]);
  await host.ask({ type: "online" } satisfies GrowthQuestion);
  const hostTime = () => host.ask<number>({ type: "cpu" } satisfies GrowthQuestion);
  const load = {
    cards: 1,
    rw: "randread",
    bs: 4096,
    depth: DEPTH,
    places: PLACES,
    seconds,
  } as const;
  const cost = async (disk: number): Promise<number> => {
    const before = await hostTime();
    const { requests, cpu } = await card.ask<CardsResult>(
      { ...load, disk } satisfies CardsQuestion,
    );
    return (await hostTime() - before + cpu) / requests;
  };
  const costs = names.map((name): [string, number[]] => [name, []]);
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const [disk, [, samples]] of costs.entries()) {
      const us = await cost(disk);
      if (round >= 0) samples.push(us);
    }
  }
  return costs;
}

/** The link alone, in one process: there its numbers can be chosen. */
async function bySequence(rounds: number, seconds: number): Promise<Costs> {
  await using program = new Conversation("sequence_cost.ts", []);
  const costs = new Map<string, number[]>();
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const { name, us } of await program.ask<SequenceCost[]>({ seconds })) {
      const samples = costs.get(name) ?? [];
      if (round >= 0) samples.push(us);
      costs.set(name, samples);
    }
  }
  return [...costs];
}

function growthRow(what: string, costs: Costs): Row {
  const [, ...others] = costs;
  const wanted = Object.fromEntries(others.map(([name]) => [name, WANTED]));
  return row(what, "us", Object.fromEntries(costs), { wanted });
}
