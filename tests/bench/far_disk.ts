/**
 * Large requests at depth where the network is long and narrow: what the diagnostic OS's load generator reaches of a
 * gigabit, beside a bare TCP stream by the same way.
 *
 * @module
 */
import { BenchCard, diskBench } from "./bench_card.ts";
import { farLink, farSockets } from "./far_link.ts";
import { type BenchContext, median, type Row, row } from "./figures.ts";
import { sharedDisk } from "./loads.ts";

/** 20 ms each way, 1 Gbit/s each way. */
const LINK = { delay: 20, rate: 125_000_000 };
const PIECE = 1 << 20;
const DIRECTIONS = [{ rw: "read", from: "host" }, { rw: "write", from: "card" }] as const;

export async function farDisk({ quick, folder, note }: BenchContext): Promise<Row[]> {
  const disk = await sharedDisk(folder);
  await using owned = new AsyncDisposableStack();
  const card = owned.use(
    await BenchCard.start({
      os: "diag",
      disk,
      through: (port) => farLink(port, LINK, owned),
    }),
  );
  const seconds = quick ? 1.5 : 2;
  const streamBytes = LINK.rate * (quick ? 0.5 : 1);
  const samples = DIRECTIONS.map(() => ({ bridge: [] as number[], "TCP stream": [] as number[] }));
  for (let round = 0; round < (quick ? 1 : 5); round++) {
    for (const [index, { rw, from }] of DIRECTIONS.entries()) {
      const { mb_s } = await diskBench(card, `rw=${rw} bs=1m depth=32 seconds=${seconds}`);
      samples[index]!.bridge.push(mb_s);
      samples[index]!["TCP stream"].push(await stream(from, streamBytes));
    }
  }
  const reached = samples.flatMap(({ "TCP stream": rates }) => rates);
  if (median(reached) * 1e6 < 0.95 * LINK.rate) {
    note("the bare stream did not reach the gigabit either: this machine was too busy");
  }
  return DIRECTIONS.map(({ rw }, index) =>
    row(`${rw} 1 MiB, depth 32, 20 ms each way, 1 Gbit/s`, "MB/s", samples[index]!, {
      wanted: "ratio at least 0.9",
    })
  );
}

/** MB/s of one stream of `length` bytes, from its first byte to arrive to its last: the narrow part, without the way there. */
async function stream(from: "host" | "card", length: number): Promise<number> {
  await using owned = new AsyncDisposableStack();
  const { card, host } = await farSockets(LINK, owned);
  const [sender, receiver] = from === "host" ? [host, card] : [card, host];
  const sent = (async () => {
    const bytes = new Uint8Array(PIECE);
    for (let left = length; left > 0;) {
      left -= await sender.write(bytes.subarray(0, Math.min(left, PIECE)));
    }
  })();
  const into = new Uint8Array(PIECE);
  const first = await receiver.read(into) ?? 0;
  const start = performance.now();
  let got = 0;
  while (first + got < length) got += await receiver.read(into) ?? 0;
  const ms = performance.now() - start;
  await sent;
  return got / ms / 1000;
}
