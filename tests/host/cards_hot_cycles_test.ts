// Short form of `deno task soak --only hot-changes`.
import { hotCycles } from "../support/hot_cycles.ts";

Deno.test("20 cycles of disks that come, grow, are swapped and go leave no file and no mapping behind", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await hotCycles(20, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
