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

export async function passt({ quick, folder, note }: BenchContext): Promise<Row[]> {
  if (!await installed("iperf3", note) || !await installed("passt", note)) return [];
  const { folder: images } = await cardImage();
  const disk = `${folder}/passt.img`;
  await copyDisk(`${images}/root.img`, disk);
  await using card = await BenchCard.start({ os: "linux", disk, net: "passt" });
  // passt shows the host's loopback at the gateway's address.
  const server = (await card.run("ip route | sed -n 's/^default via //p'")).split(" ")[0]!;
  const seconds = quick ? 1 : 4;
  const out: number[] = [];
  const back: number[] = [];
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    for (const [samples, direction] of [[out, ""], [back, "-R"]] as const) {
      const port = freePort();
      await using listening = await IperfServer.start([], port);
      const command = `iperf3 -c ${server} -p ${port} -t ${seconds} ${direction} -J`;
      samples.push(arrived(JSON.parse(await card.run(command)).end, false));
      await listening.ended;
    }
  }
  return [
    row("iperf3 over passt, card to host", "MB/s", { bridge: out }),
    row("iperf3 over passt, host to card", "MB/s", { bridge: back }),
  ];
}
