// A disk that writes all that the link takes: there is room for the others.
import { assert } from "@std/assert";
import { type DiskFigures, PressureLab } from "../support/pressure_lab.ts";

Deno.test("a disk that writes all that the link takes leaves the console its turn", async () => {
  const load = (seconds: number) => `bench vda rw=write bs=1m depth=32 seconds=${seconds} --json`;
  await using run = await PressureLab.start({
    os: "diag",
    // Less than the disk takes: the link is full all the time.
    rate: 50_000_000,
    host: [
      ...["--disk", "mem:128M", "--console", "tcp:127.0.0.1:0"],
      ...["--exec", `${load(1)}; ${load(3)}`],
    ],
  });
  const { host } = run.lab;
  await host.output(/^\{.*\}\n/);
  await run.begin();
  const echoes: number[] = [];
  const busy = () => !/^(\{.*\}\n){2}/.test(host.stdout);
  while (busy() && echoes.length < 10) {
    const { ms } = await run.ask("echo");
    if (busy()) echoes.push(ms);
  }
  await host.output(/^(\{.*\}\n){2}/);
  const loads: DiskFigures[] = host.stdout.trim().split("\n").map((line) => JSON.parse(line));
  console.log(`  disk: ${loads.map(({ mb_s }) => mb_s)} MB/s`);
  console.log(`  console: ${echoes.map((ms) => Math.round(ms))} ms for an echo`);
  assert(echoes.length >= 2, "the console waits until the disk has done");
  await run.check({ host: 52, card: 36 });
});
