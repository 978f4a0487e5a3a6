/**
 * The bare link: `link_ping.ts`, which has the same frames and no virtio, is what the block rows can reach at most;
 * `link_variants.ts` is the same link with TLS and without, and what each needs to come back after a cut.
 *
 * @module
 */
import { type BenchContext, type Row, row } from "./figures.ts";
import type { Figure } from "./link_variants.ts";

const PERMISSIONS = ["--allow-net", "--allow-run=deno", "--allow-read"];

export async function link({ quick }: BenchContext): Promise<Row[]> {
  const samples = new Map<string, number[]>();
  for (let round = 0; round < (quick ? 3 : 7); round++) {
    for (const line of await linesFrom("link_ping.ts", 1)) {
      const [, what, depth, rate] = /^(.+?) +depth +(\d+) +(\d+)\/s$/.exec(line) ?? [];
      if (what === undefined || what === "warm-up") continue;
      const name = `${what}, depth ${depth}`;
      samples.set(name, [...samples.get(name) ?? [], Number(rate)]);
    }
  }
  const variants = await linesFrom("link_variants.ts", quick ? 1 : 2, quick ? 3 : 7, 0);
  return [
    ...[...samples].map(([what, values]) => row(what, "/s", { link: values })),
    ratioRow("memory read, 128 KiB, depth 8", "MB/s", figures(variants, "read")),
    ratioRow("posted write, 128 KiB", "MB/s", figures(variants, "write")),
  ];
}

/** From the cut of a connection on loopback to the first frame that the resumed session applies. */
export async function resume({ quick }: BenchContext): Promise<Row[]> {
  const lines = await linesFrom("link_variants.ts", 0, 0, quick ? 30 : 200);
  return [ratioRow("cut to first frame", "ms", figures(lines, "resume"))];
}

const figures = (lines: readonly string[], what: Figure["what"]): Figure[] =>
  lines.map((line): Figure => JSON.parse(line)).filter((figure) => figure.what === what);

function ratioRow(what: string, unit: string, figures: readonly Figure[]): Row {
  const of = (variant: Figure["variant"]) =>
    figures.filter((figure) => figure.variant === variant).map(({ value }) => value);
  return row(what, unit, { TLS: of("TLS"), plain: of("plain") });
}

/** What a program beside this file writes, line by line. @throws {Error} if it fails */
async function linesFrom(file: string, ...args: number[]): Promise<string[]> {
  const { stdout, success } = await new Deno.Command("deno", {
    args: [
      ...["run", ...PERMISSIONS, new URL(file, import.meta.url).pathname],
      ...args.map(String),
    ],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`Cannot measure the link: ${file} failed`);
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
}
