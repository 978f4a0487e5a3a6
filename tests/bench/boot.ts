/**
 * Boot: from the start of the first process until the card's init says on the serial port that it is up, behind the
 * bridge and without it.
 *
 * @module
 */
import { cardImage } from "../../scripts/card_os/build.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import { Linux } from "./linux.ts";

const KERNEL = "Linux version";
const UP = "knightsbridge: up";

export async function boot({ quick, folder }: BenchContext): Promise<Row[]> {
  const image = await cardImage();
  const whole = { bridge: [] as number[], bare: [] as number[] };
  const kernel = { bridge: [] as number[], bare: [] as number[] };
  for (let round = 0; round < (quick ? 3 : 7); round++) {
    for (const variant of ["bridge", "bare"] as const) {
      await using linux = await Linux.start(variant, { image, folder });
      const first = await linux.seen(KERNEL);
      const up = await linux.seen(UP);
      whole[variant].push(up - linux.started);
      kernel[variant].push(up - first);
    }
  }
  return [
    row("process start to shell", "ms", whole, { wanted: "ratio at most 1.15" }),
    row("first kernel message to shell", "ms", kernel),
  ];
}
