/**
 * Growth: what a request costs, by the size of its ring, by the size of its disk, and by the link's sequence numbers. None
 * of them is to cost anything.
 *
 * @module
 */
import { LabProcess } from "../support/lab_process.ts";
import type { DiskResult } from "./bench_card.ts";
import { Conversation } from "./conversation.ts";
import { type BenchContext, type Latency, type Row, row } from "./figures.ts";
import type { GrowthDisk, GrowthQuestion } from "./growth_host.ts";
import { makeDisk } from "./loads.ts";
import type { SequenceCost } from "./sequence_cost.ts";

const PERMISSIONS = [
  ...["--allow-net=127.0.0.1", "--allow-read", "--allow-write", "--allow-ffi", "--allow-sys=uid"],
  "--allow-env=HOME,XDG_CACHE_HOME,XDG_CONFIG_HOME",
];
const RINGS = [64, 128, 256, 512, 1024] as const;
const GIB = 2 ** 30;
const DISKS = { "1 GiB": GIB, "32 GiB": 32 * GIB, "1 TiB": 1024 * GIB } as const;
/** Reads go to so many places of each disk: what grows is to be the disk, not what the page cache has of it. */
const PLACES = 4096;
const DEPTH = 32;
/** The smallest to each larger one. */
const WANTED = "ratio at least 0.9";

interface Variant {
  readonly samples: number[];
  readonly latencies: Latency[];
}

export async function growth(context: BenchContext): Promise<Row[]> {
  const { quick, folder } = context;
  const rounds = quick ? 5 : 9;
  const seconds = quick ? 0.06 : 0.5;
  const image = `${folder}/growth.img`;
  await makeDisk(image);
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
  const variants = await measure([...rings, ...sparse], names, rounds, seconds);
  return [
    growthRow(`4 KiB read at depth ${DEPTH}, by ring`, variants.slice(0, RINGS.length)),
    growthRow(`4 KiB read at depth ${DEPTH}, by disk`, variants.slice(RINGS.length)),
    await bySequence(rounds, seconds),
  ];
}

async function measure(
  disks: readonly GrowthDisk[],
  names: readonly string[],
  rounds: number,
  seconds: number,
): Promise<[string, Variant][]> {
  await using host = new Conversation("growth_host.ts", PERMISSIONS);
  const port = await host.ask<number>({ type: "start", disks } satisfies GrowthQuestion);
  const args = ["--connect", `127.0.0.1:${port}`, "--machine", "diag"];
  await using _card = await LabProcess.start("card", args, { limit: 3_600_000 });
  const read = async (disk: number, time: number): Promise<DiskResult> => {
    const name = `vd${String.fromCharCode("a".charCodeAt(0) + disk)}`;
    const load = `rw=randread bs=4k depth=${DEPTH} places=${PLACES} seconds=${time}`;
    const command = `bench ${name} ${load} --json`;
    return JSON.parse(await host.ask({ type: "run", command } satisfies GrowthQuestion));
  };
  const variants = names.map((name): [string, Variant] => [name, { samples: [], latencies: [] }]);
  for (let round = -1; round < rounds; round++) {
    for (const [disk, [, { samples, latencies }]] of variants.entries()) {
      const { iops, latency_us } = await read(disk, seconds);
      // The first of each warms the page cache up, and the code.
      if (round < 0) continue;
      samples.push(1e6 / iops);
      latencies.push(latency_us);
    }
  }
  return variants;
}

/** The link alone, in one process: there its numbers can be chosen. */
async function bySequence(rounds: number, seconds: number): Promise<Row> {
  await using program = new Conversation("sequence_cost.ts", []);
  const samples: Record<string, number[]> = {};
  for (let round = 0; round < rounds; round++) {
    const costs = await program.ask<SequenceCost[]>({ seconds });
    for (const { name, us } of costs) (samples[name] ??= []).push(us);
  }
  return growthRow(
    "request and 4 KiB answer on the link, by sequence number",
    Object.entries(samples).map(([name, samples]) => [name, { samples, latencies: [] }]),
  );
}

function growthRow(what: string, variants: readonly [string, Variant][]): Row {
  const [, ...larger] = variants;
  return row(
    what,
    "us",
    Object.fromEntries(variants.map(([name, { samples }]) => [name, samples])),
    {
      wanted: Object.fromEntries(larger.map(([name]) => [name, WANTED])),
      latencies: Object.fromEntries(variants.map(([name, { latencies }]) => [name, latencies])),
    },
  );
}
