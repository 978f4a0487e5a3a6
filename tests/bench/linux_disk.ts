/**
 * The disk of the Linux card, by `dd` in the card: direct I/O to the image behind the bridge, and to the same image
 * served in the card's own process.
 *
 * @module
 */
import { cardImage } from "../../scripts/card_os/build.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import { DISK_PASSES, type DiskPass, writeBenchInitrd } from "./guest.ts";
import { Linux } from "./linux.ts";

/** Passes of one boot; the first, while code is being compiled, does not count. */
const ROUNDS = 4;

export async function linuxDisk({ quick, folder }: BenchContext): Promise<Row[]> {
  const image = await cardImage();
  const initrd = `${folder}/bench-initrd.img`;
  await writeBenchInitrd(`${image.folder}/initrd.img`, initrd, DISK_PASSES, ROUNDS);
  const samples = DISK_PASSES.map(() => ({ bridge: [] as number[], bare: [] as number[] }));
  for (let boot = 0; boot < (quick ? 1 : 3); boot++) {
    for (const variant of ["bridge", "bare"] as const) {
      await using linux = await Linux.start(variant, { image, folder, initrd });
      for (let round = 0; round < ROUNDS; round++) {
        for (const [index, pass] of DISK_PASSES.entries()) {
          const begin = await linux.seen(`bench: begin ${pass.name}`);
          const end = await linux.seen("bench: end");
          if (round > 0) samples[index]![variant].push(figure(pass, end - begin));
        }
      }
    }
  }
  return DISK_PASSES.map((pass, index) =>
    row(`${pass.name}, direct, depth 1`, isLarge(pass) ? "MB/s" : "us", samples[index]!)
  );
}

const isLarge = (pass: DiskPass): boolean => pass.size > 4096;

/** MB/s, or microseconds a request. */
function figure(pass: DiskPass, milliseconds: number): number {
  return isLarge(pass)
    ? pass.size * pass.count / milliseconds / 1000
    : milliseconds * 1000 / pass.count;
}
