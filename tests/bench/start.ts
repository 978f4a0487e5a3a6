/**
 * Start: from the start of a process until its card is ready, and how fast a card is downloaded to.
 *
 * @module
 */
import { LabProcess } from "../support/lab_process.ts";
import { Ceiling } from "./ceiling.ts";
import { Conversation } from "./conversation.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import type { DownloadQuestion } from "./download_host.ts";

const LIMIT = 3_600_000;
const IMAGE_BYTES = 64 * 2 ** 20;
/** As the host's download posts it (host/driver/download.ts). */
const PIECE = 256 * 1024;
const PERMISSIONS = [
  ...["--allow-net=127.0.0.1", "--allow-read", "--allow-write", "--allow-ffi", "--allow-sys=uid"],
  "--allow-env=HOME,XDG_CACHE_HOME,XDG_CONFIG_HOME",
];

export async function start(context: BenchContext): Promise<Row[]> {
  context.progress("processes");
  const rows = await processes(context);
  context.progress("download");
  return [...rows, await download(context)];
}

async function processes({ quick }: BenchContext): Promise<Row[]> {
  const host = { bridge: [] as number[], "deno alone": [] as number[] };
  const card = { bridge: [] as number[], "deno alone": [] as number[] };
  for (let round = 0; round < (quick ? 1 : 9); round++) {
    const alone = await nothing();
    host["deno alone"].push(alone);
    card["deno alone"].push(alone);
    const begun = performance.now();
    await using hostProcess = await LabProcess.start("host", [
      ...["--listen", "127.0.0.1:0", "--os", "diag", "--disk", "mem:1M", "--console", "none"],
      "--json",
    ], { limit: LIMIT });
    const { port } = await hostProcess.event(({ type }) => type === "listening");
    const listens = performance.now();
    await using cardProcess = await LabProcess.start("card", [
      ...["--connect", `127.0.0.1:${port}`, "--machine", "diag"],
    ], { limit: LIMIT });
    await hostProcess.event(({ event }) =>
      (event as { state?: string } | undefined)?.state === "online"
    );
    host.bridge.push(listens - begun);
    card.bridge.push(performance.now() - listens);
    cardProcess.kill("SIGKILL");
  }
  return [
    row("host: process start until it listens", "ms", host),
    row("card: process start until online (diag)", "ms", card),
  ];
}

/** What the runtime takes for a program that does nothing, ms. */
async function nothing(): Promise<number> {
  const begun = performance.now();
  await new Deno.Command("deno", { args: ["eval", ""] }).output();
  return performance.now() - begun;
}

/** An image of 64 MiB into a card, beside posted writes of the same sizes. */
async function download({ quick, folder }: BenchContext): Promise<Row> {
  const image = `${folder}/download.img`;
  await Deno.writeFile(image, new Uint8Array(IMAGE_BYTES).fill(0x5a));
  const samples = { bridge: [] as number[], "link alone": [] as number[] };
  const rate = (seconds: number) => IMAGE_BYTES / 1e6 / seconds;
  await using ceiling = await Ceiling.start();
  for (let round = 0; round < (quick ? 1 : 9); round++) {
    await using host = new Conversation("download_host.ts", PERMISSIONS);
    const port = await host.ask<number>({ type: "listen", image } satisfies DownloadQuestion);
    await using _card = await LabProcess.start("card", [
      ...["--connect", `127.0.0.1:${port}`, "--machine", "diag"],
    ], { limit: LIMIT });
    samples.bridge.push(rate(await host.ask({ type: "download" } satisfies DownloadQuestion)));
    samples["link alone"].push(rate(await ceiling.download(IMAGE_BYTES, PIECE)));
  }
  return row("download of a 64 MiB image", "MB/s", samples);
}
