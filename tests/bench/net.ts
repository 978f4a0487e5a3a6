/**
 * Network of the Linux card: iperf3 between card and host, both ways, over passt and over a TAP.
 *
 * @module
 */
import { copyDisk } from "../../scripts/demo/disk.ts";
import { cardImage } from "../../scripts/card_os/build.ts";
import { BenchCard } from "./bench_card.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import { endProcess, freePort, installed } from "./processes.ts";

/** A network of our own, so that no card of this machine is in the way. */
const HOST = "10.213.77.254";
const ADDRESS = `10.213.77.1/24,${HOST}`;

export async function net(context: BenchContext): Promise<Row[]> {
  const { note } = context;
  if (!await installed("iperf3", note)) return [];
  const rows: Row[] = [];
  if (await installed("passt", note)) rows.push(...await measure(context, "passt"));
  if (Deno.uid() === 0) rows.push(...await measure(context, `tap:kbench${Deno.pid % 100_000}`));
  else note("a TAP needs root, so its rows are missing");
  return rows;
}

async function measure({ quick, folder }: BenchContext, choice: string): Promise<Row[]> {
  const { folder: images } = await cardImage();
  const disk = `${folder}/net.img`;
  await copyDisk(`${images}/root.img`, disk);
  const tap = choice !== "passt";
  await using card = await BenchCard.start({
    ...{ os: "linux", disk, net: choice },
    ...(tap ? { address: ADDRESS } : {}),
  });
  // passt shows the host's loopback at the gateway's address.
  const server = tap
    ? HOST
    : (await card.run("ip route | sed -n 's/^default via //p'")).split(" ")[0]!;
  const seconds = quick ? 2 : 4;
  const out: number[] = [];
  const back: number[] = [];
  for (let round = 0; round < (quick ? 2 : 5); round++) {
    for (const [samples, direction] of [[out, ""], [back, "-R"]] as const) {
      samples.push(await iperf(card, server, seconds, direction));
    }
  }
  const name = tap ? "TAP" : choice;
  return [
    row(`${name}, card to host`, "MB/s", { bridge: out }),
    row(`${name}, host to card`, "MB/s", { bridge: back }),
  ];
}

/** MB/s that arrived. */
async function iperf(
  card: BenchCard,
  server: string,
  seconds: number,
  direction: string,
): Promise<number> {
  const port = freePort();
  const listening = new Deno.Command("iperf3", {
    args: ["-s", "-1", "-p", String(port), "--forceflush"],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = listening.stdout.getReader();
  try {
    await reader.read(); // it says that it listens
    const rest = (async () => {
      while (!(await reader.read()).done);
    })();
    const output = await card.run(`iperf3 -c ${server} -p ${port} -t ${seconds} ${direction} -J`);
    await rest;
    return JSON.parse(output).end.sum_received.bits_per_second / 8e6;
  } finally {
    await endProcess(listening);
  }
}
