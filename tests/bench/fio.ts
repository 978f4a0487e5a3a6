/**
 * The peer of the disk: `fio --ioengine=nbd` on `nbdkit file`, over TCP.
 *
 * @module
 */
import type { DiskResult } from "./bench_card.ts";
import type { DiskLoad } from "./loads.ts";
import { endProcess, freePort, installed } from "./processes.ts";

interface FioFigures {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly lat_ns: {
    readonly mean: number;
    readonly max: number;
    readonly percentile: Readonly<Record<string, number>>;
  };
}

type FioJob = Readonly<Record<"read" | "write", FioFigures>>;

export class Fio implements AsyncDisposable {
  readonly #nbdkit: Deno.ChildProcess;
  readonly #port: number;

  private constructor(nbdkit: Deno.ChildProcess, port: number) {
    this.#nbdkit = nbdkit;
    this.#port = port;
  }

  /** Serves `disk`; undefined, and `note` told, if one of the two is not installed. */
  static async start(disk: string, note: (text: string) => void): Promise<Fio | undefined> {
    const here = [await installed("fio", note), await installed("nbdkit", note)];
    if (here.includes(false)) return undefined;
    const port = freePort();
    const nbdkit = new Deno.Command("nbdkit", {
      args: ["-f", "-i", "127.0.0.1", "-p", String(port), "file", disk],
      stdin: "null",
      stdout: "null",
    }).spawn();
    for (;;) {
      try {
        using _conn = await Deno.connect({ hostname: "127.0.0.1", port });
        return new Fio(nbdkit, port);
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  /**
   * Runs `loads` one after the other: its own start takes longer than some loads. Latencies are from submission to
   * completion, as the bridge's.
   */
  async run(loads: readonly DiskLoad[], seconds: number): Promise<DiskResult[]> {
    const jobs = loads.flatMap(({ rw, bs, depth }) => [
      ...[`--name=${rw}`, "--stonewall", "--ioengine=nbd", `--uri=nbd://127.0.0.1:${this.#port}`],
      ...[`--rw=${rw}`, `--bs=${bs}`, `--iodepth=${depth}`],
      ...["--time_based", `--runtime=${Math.round(seconds * 1000)}ms`],
    ]);
    const { success, stdout, stderr } = await new Deno.Command("fio", {
      // It would measure the CPU's clock first.
      args: ["--clocksource=clock_gettime", "--lat_percentiles=1", "--output-format=json", ...jobs],
      // A file of its state is left where it runs.
      cwd: "/tmp",
    }).output();
    if (!success) throw new Error(`Cannot run fio: ${new TextDecoder().decode(stderr)}`);
    const text = new TextDecoder().decode(stdout);
    const results: readonly FioJob[] = JSON.parse(text.slice(text.indexOf("{"))).jobs;
    return loads.map(({ rw }, index) => {
      const job = results[index]!;
      return resultOf(rw.endsWith("read") ? job.read : job.write);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return endProcess(this.#nbdkit);
  }
}

function resultOf({ iops, bw_bytes, lat_ns }: FioFigures): DiskResult {
  const us = (fraction: string) => lat_ns.percentile[fraction]! / 1000;
  return {
    iops,
    mb_s: bw_bytes / 1e6,
    latency_us: {
      mean: lat_ns.mean / 1000,
      p50: us("50.000000"),
      p90: us("90.000000"),
      p99: us("99.000000"),
      p999: us("99.900000"),
      max: lat_ns.max / 1000,
    },
  };
}
