/**
 * Block: the diagnostic OS's load generator across the bridge, beside fio on nbdkit with the same file, in turns.
 *
 * @module
 */
import { BenchCard, diskBench } from "./bench_card.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import { endProcess, freePort, installed } from "./processes.ts";

const DISK_BYTES = 256 * 1024 * 1024;
const PIECE = 1 << 20;

const LOADS = [
  { rw: "randread", bs: "4k", depth: 1 },
  { rw: "randread", bs: "4k", depth: 32 },
  { rw: "randwrite", bs: "4k", depth: 1 },
  { rw: "randwrite", bs: "4k", depth: 32 },
  { rw: "read", bs: "128k", depth: 8 },
  { rw: "write", bs: "128k", depth: 8 },
  { rw: "read", bs: "1m", depth: 8 },
  { rw: "write", bs: "1m", depth: 8 },
] as const;
type Load = typeof LOADS[number];

export async function block(context: BenchContext): Promise<Row[]> {
  const { quick, folder, note } = context;
  const disk = `${folder}/block.img`;
  await makeDisk(disk);
  const peers = await installed("fio", note) && await installed("nbdkit", note);
  await using owned = new AsyncDisposableStack();
  const nbdPort = peers ? await startNbdkit(disk, owned) : undefined;
  await using card = await BenchCard.start({ os: "diag", disk });
  const rows: Row[] = [];
  for (const load of LOADS) {
    const { rw, bs, depth } = load;
    const small = bs === "4k";
    const samples = { bridge: [] as number[], "fio on nbdkit": [] as number[] };
    const detail = [];
    for (let round = 0; round < (quick ? 3 : 7); round++) {
      const ours = await diskBench(card, `rw=${rw} bs=${bs} depth=${depth} seconds=1`);
      samples.bridge.push(small ? ours.iops : ours.mb_s);
      detail.push({ bridge: ours.latency_us });
      if (nbdPort === undefined) continue;
      const theirs = await fio(nbdPort, load);
      samples["fio on nbdkit"].push(small ? theirs.iops : theirs.mb_s);
      detail.push({ "fio on nbdkit": theirs.latency_us });
    }
    const what = `${rw} ${bs}, depth ${depth}`;
    rows.push(row(what, small ? "IOPS" : "MB/s", samples, { detail }));
  }
  return rows;
}

/** No holes and no zeros: neither side shall gain by them. */
async function makeDisk(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  const bytes = new Uint8Array(PIECE);
  for (let at = 0; at < PIECE; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  for (let at = 0; at < DISK_BYTES; at += PIECE) await file.write(bytes);
  await file.syncData();
}

async function startNbdkit(disk: string, owned: AsyncDisposableStack): Promise<number> {
  const port = freePort();
  const nbdkit = new Deno.Command("nbdkit", {
    args: ["-f", "-i", "127.0.0.1", "-p", String(port), "file", disk],
    stdin: "null",
    stdout: "null",
  }).spawn();
  owned.defer(() => endProcess(nbdkit));
  for (;;) {
    try {
      using _conn = await Deno.connect({ hostname: "127.0.0.1", port });
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function fio(port: number, { rw, bs, depth }: Load) {
  const { success, stdout, stderr } = await new Deno.Command("fio", {
    args: [
      ...["--name=bench", "--ioengine=nbd", `--uri=nbd://127.0.0.1:${port}`, `--rw=${rw}`],
      ...[`--bs=${bs}`, `--iodepth=${depth}`, "--time_based", "--runtime=1"],
      ...["--output-format=json"],
    ],
  }).output();
  if (!success) throw new Error(`Cannot run fio: ${new TextDecoder().decode(stderr)}`);
  const text = new TextDecoder().decode(stdout);
  const result = JSON.parse(text.slice(text.indexOf("{"))).jobs[0][
    rw.endsWith("read") ? "read" : "write"
  ];
  const percentile = (name: string) => result.clat_ns.percentile[name] / 1000;
  return {
    iops: result.iops as number,
    mb_s: result.bw_bytes / 1e6,
    latency_us: {
      mean: result.clat_ns.mean / 1000,
      p50: percentile("50.000000"),
      p90: percentile("90.000000"),
      p99: percentile("99.000000"),
      p999: percentile("99.900000"),
      max: result.clat_ns.max / 1000,
    },
  };
}
