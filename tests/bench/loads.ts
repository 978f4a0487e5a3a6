/**
 * The disk loads of the benchmarks, the image that they go to, and what they give.
 *
 * @module
 */
import { type BenchCard, diskBench, type DiskResult } from "./bench_card.ts";
import type { Latency } from "./figures.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
export const DISK_BYTES = 256 * MIB;

export const SIZES = { "4k": 4 * KIB, "128k": 128 * KIB, "1m": MIB } as const;
const WAYS = ["randread", "randwrite", "read", "write"] as const;
const DEPTHS = [1, 32] as const;

export interface DiskLoad {
  readonly rw: (typeof WAYS)[number];
  readonly bs: keyof typeof SIZES;
  readonly depth: (typeof DEPTHS)[number];
}

/** All sizes, ways and depths. */
export const LOADS: readonly DiskLoad[] = Object.keys(SIZES).flatMap((bs) =>
  DEPTHS.flatMap((depth) => WAYS.map((rw) => ({ rw, bs: bs as keyof typeof SIZES, depth })))
);

/**
 * What is run before any of `loads` counts, since code that is not compiled yet has no figure: random ones of each kind,
 * the first of them last.
 */
export const warmUpOf = (loads: readonly DiskLoad[]): DiskLoad[] =>
  loads.filter(({ rw }) => rw.startsWith("rand")).toReversed();

export const nameOf = ({ rw, bs, depth }: DiskLoad): string => `${rw} ${bs}, depth ${depth}`;

/** Small requests are counted, large ones weighed. */
export const isSmall = ({ bs }: DiskLoad): boolean => bs === "4k";
export const unitOf = (load: DiskLoad): string => isSmall(load) ? "IOPS" : "MB/s";

/** What one variant gave, round by round. */
export class Samples {
  readonly values: number[] = [];
  readonly latencies: (Latency & { readonly mean: number })[] = [];
  readonly #load: DiskLoad;

  constructor(load: DiskLoad) {
    this.#load = load;
  }

  add({ iops, mb_s, latency_us }: DiskResult): void {
    this.values.push(isSmall(this.#load) ? iops : mb_s);
    this.latencies.push(latency_us);
  }
}

export async function runLoad(
  card: BenchCard,
  { rw, bs, depth }: DiskLoad,
  seconds: number,
): Promise<DiskResult> {
  return await diskBench(card, `rw=${rw} bs=${bs} depth=${depth} seconds=${seconds}`);
}

/** The path of an image in `folder` that is there for all benchmarks of a run, which makes it if it is the first. */
export async function sharedDisk(folder: string): Promise<string> {
  const path = `${folder}/shared.img`;
  await Deno.stat(path).catch(() => makeDisk(path));
  return path;
}

/** An image of 256 MiB: no holes and no zeros, so that no side gains by them. */
export async function makeDisk(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  const bytes = new Uint8Array(MIB);
  for (let at = 0; at < MIB; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  for (let at = 0; at < DISK_BYTES; at += MIB) await file.write(bytes);
  await file.syncData();
}
