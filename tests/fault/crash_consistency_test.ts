// The power of the disk goes away at any moment: ext4 on the card is clean afterwards, and what was synced is there.
import { assert } from "@std/assert";
import { checkReplays, checkTorn } from "../support/crash_check.ts";
import { crashRun } from "../support/crash_run.ts";
import { temporaryFolder } from "../support/lab.ts";
import { missing } from "../support/needs.ts";
import { Random } from "../support/random.ts";

const programs = ["nbd-server", "nbd-trplay", "mke2fs", "e2fsck", "debugfs"];
const noTools = await missing(...programs.map((program) => ({ program })));

Deno.test({
  name: "every synced file is whole, and e2fsck finds nothing, wherever in the disk's log it ends",
  ignore: noTools,
}, async () => {
  await using folder = await temporaryFolder();
  const random = new Random(3);
  const blows = { cuts: 4, cutWithin: 10_000, killEvery: 2 };
  const run = await crashRun({ folder: folder.path, seed: 3, steps: 30, ...blows });
  await checkReplays(run, folder.path, 20, random);
  assert(await checkTorn(run, folder.path, 20, random) > 0, "nothing was in danger");
});
