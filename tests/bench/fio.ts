/**
 * The peer of the disk: `fio --ioengine=nbd` on `nbdkit file`, over TCP.
 *
 * @module
 */
import type { DiskResult } from "./bench_card.ts";
import type { DiskLoad } from "./loads.ts";
import { endProcess, freePort, installed } from "./processes.ts";

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

  /** Latencies are from submission to completion, as the bridge's. */
  async run({ rw, bs, depth }: DiskLoad, seconds: number): Promise<DiskResult> {
    const { success, stdout, stderr } = await new Deno.Command("fio", {
      args: [
        ...["--name=bench", "--ioengine=nbd", `--uri=nbd://127.0.0.1:${this.#port}`],
        ...[`--rw=${rw}`, `--bs=${bs}`, `--iodepth=${depth}`],
        ...["--time_based", `--runtime=${Math.round(seconds * 1000)}ms`],
        // It would measure the CPU's clock first, for longer than some loads take.
        ...["--clocksource=clock_gettime", "--lat_percentiles=1", "--output-format=json"],
      ],
      // A file of its state is left where it runs.
      cwd: "/tmp",
    }).output();
    if (!success) throw new Error(`Cannot run fio: ${new TextDecoder().decode(stderr)}`);
    const text = new TextDecoder().decode(stdout);
    const [job] = JSON.parse(text.slice(text.indexOf("{"))).jobs;
    const { iops, bw_bytes, lat_ns } = job[rw.endsWith("read") ? "read" : "write"];
    const us = (fraction: string) => lat_ns.percentile[fraction] / 1000;
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

  [Symbol.asyncDispose](): Promise<void> {
    return endProcess(this.#nbdkit);
  }
}
