/**
 * Network of the Linux card without privileges: iperf3 between card and host over passt, both ways.
 *
 * @module
 */
import { copyDisk } from "../../scripts/demo/disk.ts";
import { cardImage } from "../../scripts/card_os/build.ts";
import { BenchCard } from "./bench_card.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import { arrived, IperfServer } from "./iperf.ts";
import { freePort, installed } from "./processes.ts";

export async function passt(context: BenchContext): Promise<Row[]> {
  const out: number[] = [];
  const back: number[] = [];
  await measure(context, out, back);
  return [
    row("iperf3 over passt, card to host", "MB/s", { bridge: out }),
    row("iperf3 over passt, host to card", "MB/s", { bridge: back }),
  ];
}

/** Leaves empty, with a note, what is not measured. */
async function measure(
  { quick, folder, note }: BenchContext,
  out: number[],
  back: number[],
): Promise<void> {
  if (quick) return note("a run that is not quick has it: it takes a boot of its own");
  if (!await installed("iperf3", note) || !await installed("passt", note)) return;
  const { folder: images } = await cardImage();
  const disk = `${folder}/passt.img`;
  await copyDisk(`${images}/root.img`, disk);
  await using card = await BenchCard.start({ os: "linux", disk, net: "passt" });
  // passt shows the host's loopback at the gateway's address.
  const server = (await card.run("ip route | sed -n 's/^default via //p'")).split(" ")[0]!;
  for (let round = 0; round < 5; round++) {
    for (const [samples, direction] of [[out, ""], [back, "-R"]] as const) {
      const port = freePort();
      await using listening = await IperfServer.start([], port);
      const command = `iperf3 -c ${server} -p ${port} -t 4 ${direction} -J`;
      samples.push(arrived(JSON.parse(await card.run(command)).end, false));
      await listening.ended;
    }
  }
}
