// The short form of the soak `boots`: what a boot costs in memory is given back.
import { assert } from "@std/assert";
import { temporaryFolder } from "../support/lab.ts";
import { growth, manyBoots } from "../support/many_boots.ts";
import { RUNTIME_SLACK } from "../support/pressure_lab.ts";

Deno.test("a card that boots diag 40 times in a row costs no process more and more memory", async () => {
  await using folder = await temporaryFolder();
  const say = (line: string) => console.log(`  ${line}`);
  const samples = await manyBoots({ os: "diag", boots: 40, every: 8, folder: folder.path, say });
  for (const end of ["host", "card"] as const) {
    const grown = growth(samples, end);
    assert(grown < RUNTIME_SLACK, `the ${end} grew by ${grown} MiB`);
  }
});
