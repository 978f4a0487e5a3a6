// A peer that stops reading for a while, as a process that is stopped does, while two disks and a console are busy.
import { assert, assertEquals } from "@std/assert";
import { PressureLab } from "../support/pressure_lab.ts";

/** Shorter than the 10 s after which a peer is given up, ms. */
const PAUSE = 2_000;
/** MiB that the other may take, host/README.md: the chunks of what it keeps; on the host the staging of two disks too. */
const BOUND = { host: 48 + 32, card: 48 };

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

// Each while the other has the most to say.
for (const [stopped, rw] of [["card", "read"], ["host", "write"]] as const) {
  Deno.test(`a ${stopped} that stops reading during ${rw}s costs the other a pause and no memory`, async () => {
    const load = `rw=${rw} bs=1m depth=16`;
    await using run = await PressureLab.start({
      os: "diag",
      host: [
        ...["--disk", "mem:64M", "--disk", "mem:64M", "--console", "tcp:127.0.0.1:0"],
        ...["--exec", `bench vda ${load} seconds=60`],
      ],
    });
    const before = await run.bench("vdb", `${load} seconds=1`);
    await run.begin();
    const loaded = run.bench("vdb", `${load} seconds=2`);
    await pause(500);
    run.lab[stopped].kill("SIGSTOP");
    await pause(PAUSE);
    run.lab[stopped].kill("SIGCONT");
    const during = await loaded;
    const after = await run.bench("vdb", `${load} seconds=1`);
    assertEquals([before, during, after].map(({ errors }) => errors), [0, 0, 0]);
    console.log(`  disk, of two: ${before.mb_s} MB/s before, ${after.mb_s} after`);
    console.log(`  longest request: ${Math.round(during.latency_us.max / 1000)} ms`);
    assert(during.latency_us.max / 1000 > PAUSE, "the pause fell into the load");
    await run.check(BOUND);
  });
}
