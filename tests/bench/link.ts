/**
 * The bare link: `link_ping.ts`, which has the same frames and no virtio. What the block rows can reach at most.
 *
 * @module
 */
import { type BenchContext, type Row, row } from "./figures.ts";

const PERMISSIONS = ["--allow-net", "--allow-run", "--allow-read"];

export async function link({ quick }: BenchContext): Promise<Row[]> {
  const samples = new Map<string, number[]>();
  for (let round = 0; round < (quick ? 3 : 7); round++) {
    const { stdout } = await new Deno.Command("deno", {
      args: ["run", ...PERMISSIONS, new URL("link_ping.ts", import.meta.url).pathname, "1"],
      stderr: "inherit",
    }).output();
    for (const line of new TextDecoder().decode(stdout).split("\n")) {
      const [, what, depth, rate] = /^(.+?) +depth +(\d+) +(\d+)\/s$/.exec(line) ?? [];
      if (what === undefined || what === "warm-up") continue;
      const name = `${what}, depth ${depth}`;
      samples.set(name, [...samples.get(name) ?? [], Number(rate)]);
    }
  }
  return [...samples].map(([what, values]) => row(what, "/s", { link: values }));
}
