// A disk that stands still: its requests wait, and nothing else does.
import { assert, assertEquals } from "@std/assert";
import { PausingNbdServer } from "../support/pausing_nbd_server.ts";
import { type DiskFigures, PressureLab } from "../support/pressure_lab.ts";

const MIB = 1024 * 1024;
/** MiB that a disk on an NBD server may take, host/README.md. */
const DISK = 96 + 16;

for (const [rw, bs, depth] of [["randwrite", "4k", 32], ["read", "1m", 64]] as const) {
  Deno.test(`a disk that stands still under ${depth} ${rw}s of ${bs} holds up nothing but itself`, async () => {
    await using server = new PausingNbdServer(128 * MIB);
    const load = (seconds: number) =>
      `bench vda rw=${rw} bs=${bs} depth=${depth} seconds=${seconds} --json`;
    // The load at full speed; again, and the server stops; and once more.
    const command = [load(1), load(2), load(1)].join("; ");
    await using run = await PressureLab.start({
      os: "diag",
      host: [
        ...["--disk", server.uri, "--disk", "mem:64M", "--console", "tcp:127.0.0.1:0"],
        ...["--exec", command],
      ],
    });
    const { host } = run.lab;
    const before = await run.bench("vdb", "depth=32 seconds=1");
    await host.output(/^\{.*\}\n/);
    await run.begin();
    server.pause();
    const { answered } = server;

    const during: DiskFigures[] = [];
    const echoes: number[] = [];
    for (let second = 0; second < 2; second++) {
      during.push(await run.bench("vdb", "depth=32 seconds=1"));
      echoes.push((await run.ask("echo")).ms);
    }
    // One was under way.
    assert(server.answered <= answered + 1);
    server.resume();

    await host.output(/^(\{.*\}\n){3}/);
    const loads: DiskFigures[] = host.stdout.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(loads.map(({ errors }) => errors), [0, 0, 0]);
    const speed = ({ iops, mb_s }: DiskFigures) => bs === "4k" ? `${iops} IOPS` : `${mb_s} MB/s`;
    console.log(`  it: ${speed(loads[0]!)} before, ${speed(loads[2]!)} after`);
    console.log(`  longest request: ${Math.round(loads[1]!.latency_us.max / 1000)} ms`);
    console.log(
      `  other disk: ${before.iops} IOPS before, ${during.map(({ iops }) => iops)} during`,
    );
    console.log(`  console: ${echoes.map((ms) => ms.toFixed(1))} ms for an echo`);
    await run.check({ host: DISK, card: 8 });
  });
}
