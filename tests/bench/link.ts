/**
 * The link alone: what encryption costs it (`link_variants.ts`), and what it needs to come back after a cut.
 *
 * @module
 */
import { type BenchContext, type Row, row } from "./figures.ts";
import type { Figure } from "./link_variants.ts";

const PERMISSIONS = ["--allow-net", "--allow-run=deno", "--allow-read"];

export async function link({ quick }: BenchContext): Promise<Row[]> {
  const variants = await linesFrom("link_variants.ts", quick ? 0.2 : 2, quick ? 2 : 7, 0);
  return [
    ratioRow("memory read, 128 KiB, depth 8", "MB/s", figures(variants, "read")),
    ratioRow("posted write, 128 KiB", "MB/s", figures(variants, "write")),
  ];
}

/** From the cut of a connection on loopback to the first frame that the resumed session applies. */
export async function resume({ quick }: BenchContext): Promise<Row[]> {
  const lines = await linesFrom("link_variants.ts", 0, 0, quick ? 15 : 200);
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
