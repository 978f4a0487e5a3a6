/**
 * Linux on v86: boot to shell, the disk by `dd` and the network by iperf3 in the card; behind the bridge, and with a disk
 * and a network in the card's own process.
 *
 * @module
 */
import { cardImage } from "../../scripts/card_os/build.ts";
import { copyDisk } from "../../scripts/demo/disk.ts";
import { Namespace } from "../support/namespace.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import { type DiskPass, diskPasses, NET_READY, writeBenchDisk } from "./guest.ts";
import { iperfClient } from "./iperf.ts";
import { CARD_ADDRESS, Linux, type Variant } from "./linux.ts";
import { installed } from "./processes.ts";

const KERNEL = "Linux version";
const UP = "knightsbridge: up";
const VARIANTS: readonly Variant[] = ["bridge", "bare"];
/** What the bridge may cost. */
const RATE = { wanted: "ratio at least 0.9" } as const;
const TIME = { wanted: "ratio at most 1.1" } as const;
const NET = [{ name: "card to host", reverse: true }, { name: "host to card", reverse: false }];

type Samples = Record<Variant, number[]>;

export async function linuxCard(context: BenchContext): Promise<Row[]> {
  const { quick, folder, note, progress } = context;
  const image = await cardImage();
  const passes = diskPasses(quick ? 4 : 1);
  // Before them a few of each, while code is being compiled: they do not count.
  const rounds = [diskPasses(8), ...Array.from({ length: quick ? 1 : 3 }, () => passes)];
  const original = `${folder}/linux-original.img`;
  await writeBenchDisk(`${image.folder}/root.img`, original, rounds);
  await using owned = new AsyncDisposableStack();
  const namespace = await network(note) ? owned.use(await Namespace.make()) : undefined;
  const none = (): Samples => ({ bridge: [], bare: [] });
  const whole = none();
  const kernel = none();
  const disk = passes.map(none);
  const net = NET.map(none);
  for (let boot = 0; boot < (quick ? 1 : 3); boot++) {
    for (const variant of VARIANTS) {
      progress(`boot ${boot + 1}, ${variant}`);
      const path = `${folder}/linux.img`;
      await copyDisk(original, path);
      await using linux = await Linux.start(variant, { image, disk: path, namespace });
      const first = await linux.seen(KERNEL);
      const up = await linux.seen(UP);
      whole[variant].push(up - linux.started);
      kernel[variant].push(up - first);
      for (const round of rounds) {
        for (const [index, pass] of round.entries()) {
          const begin = await linux.seen(`bench: begin ${pass.name}`);
          const end = await linux.seen("bench: end");
          if (round === passes) disk[index]![variant].push(figure(pass, end - begin));
        }
      }
      if (namespace === undefined) continue;
      await linux.seen(NET_READY);
      for (let round = 0; round < (quick ? 1 : 3); round++) {
        for (const [index, { reverse }] of NET.entries()) {
          const transfer = { reverse, seconds: quick ? 1 : 3 };
          const rate = await iperfClient(namespace.within, CARD_ADDRESS, transfer);
          net[index]![variant].push(rate);
        }
      }
    }
  }
  return [
    row("process start to shell", "ms", whole, TIME),
    row("first kernel message to shell", "ms", kernel),
    ...passes.map((pass, index) =>
      isLarge(pass)
        ? row(`${pass.name}, direct`, "MB/s", disk[index]!, RATE)
        : row(`${pass.name}, direct`, "us", disk[index]!, TIME)
    ),
    ...NET.map(({ name }, index) => row(`iperf3 over a TAP, ${name}`, "MB/s", net[index]!, RATE)),
  ];
}

async function network(note: (text: string) => void): Promise<boolean> {
  if (Deno.uid() !== 0) note("a TAP needs root, so the network is missing");
  else return await installed("iperf3", note);
  return false;
}

const isLarge = (pass: DiskPass): boolean => pass.size > 4096;

/** MB/s, or microseconds from one request's end to the next one's. */
function figure(pass: DiskPass, milliseconds: number): number {
  const requests = pass.count * pass.depth;
  return isLarge(pass)
    ? pass.size * requests / milliseconds / 1000
    : milliseconds * 1000 / requests;
}
