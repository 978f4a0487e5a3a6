/**
 * The command in front of the load generator.
 *
 * @module
 */
import { bench as run, type BenchOptions, type BenchResult } from "../bench.ts";
import { findDisk } from "./disk.ts";
import { type Command, parsePairs, parseSize, UsageError } from "./types.ts";

const RW = ["read", "write", "randread", "randwrite"] as const;

export const bench: Command = {
  usage: `DISK [rw=${RW.join("|")}] [bs=4k] [depth=32] [seconds=1] [count=N] [places=N] [--json]`,
  summary: "measure a disk (rw=write destroys what is on it)",
  async run(args, io, os) {
    const json = args.includes("--json");
    const [name = "", ...rest] = args.filter((arg) => arg !== "--json");
    const disk = findDisk(os, name);
    const pairs = parsePairs(rest, ["rw", "bs", "depth", "seconds", "count", "places"]);
    const rw = RW.find((rw) => rw === (pairs.rw ?? "randread"));
    if (!rw) throw new UsageError(`Cannot use rw=${pairs.rw}: wanted ${RW.join(", ")}`);
    const count = pairs.count === undefined ? Infinity : parseSize(pairs.count);
    // With a count and no time, the count decides.
    const seconds = pairs.seconds === undefined
      ? (count === Infinity ? 1 : Infinity)
      : Number(pairs.seconds);
    const places = pairs.places === undefined ? Infinity : parseSize(pairs.places);
    if (!(places > 0)) throw new UsageError(`Cannot use places=${pairs.places}`);
    if (!(seconds > 0)) throw new UsageError(`Cannot use seconds=${pairs.seconds}`);
    const options: BenchOptions = {
      rw,
      bs: parseSize(pairs.bs ?? "4k"),
      depth: parseSize(pairs.depth ?? "32"),
      seconds,
      count,
      places,
    };
    const result = await run(disk, os.heap, options, io.signal);
    await io.out(json ? JSON.stringify(result) + "\n" : table(disk.name, result));
    return result.errors === 0 ? 0 : 1;
  },
};

function table(name: string, result: BenchResult): string {
  const { latency_us: us } = result;
  return `${name} ${result.rw} bs=${result.bs} depth=${result.depth}: ` +
    `${result.requests} requests, ${result.errors} errors in ${result.elapsed_s} s\n` +
    `  ${result.iops} IOPS, ${result.mb_s} MB/s\n` +
    `  latency us: mean ${us.mean}, p50 ${us.p50}, p90 ${us.p90}, p99 ${us.p99}, ` +
    `p99.9 ${us.p999}, max ${us.max}\n`;
}
