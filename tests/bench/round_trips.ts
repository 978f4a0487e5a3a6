/**
 * Round trips: what a request costs where the network is long, in units of the network's own round trip.
 *
 * @module
 */
import { BenchCard, diskBench } from "./bench_card.ts";
import { type BenchContext, type Row, row, summary } from "./figures.ts";
import { endProcess, linesOf, startProgram } from "./processes.ts";

/** Added each way, ms. */
const DELAY = 20;
const DISK_BYTES = 64 * 1024 * 1024;
const WANTED = "at most 1.15";

export async function roundTrips({ quick, folder }: BenchContext): Promise<Row[]> {
  const count = quick ? 10 : 30;
  const disk = `${folder}/round-trips.img`;
  await Deno.writeFile(disk, new Uint8Array());
  await Deno.truncate(disk, DISK_BYTES);
  await using owned = new AsyncDisposableStack();
  const through = async (port: number) => {
    const proxy = startProgram(
      new URL("../support/delay_proxy.ts", import.meta.url),
      ["--allow-net=127.0.0.1"],
      [String(port), String(DELAY)],
    );
    owned.defer(() => endProcess(proxy));
    const reader = linesOf(proxy.stdout).getReader();
    const { value } = await reader.read();
    owned.defer(() => reader.cancel());
    return Number(value);
  };
  const tripsOf = await measureTrips(through, count);
  const trip = summary(tripsOf).median;
  await using card = await BenchCard.start({ os: "diag", disk, through });
  const inTrips = (ms: number) => ms / trip;

  const one = async (rw: string): Promise<number[]> => {
    const samples: number[] = [];
    for (let i = 0; i < count; i++) {
      const result = await diskBench(card, `rw=${rw} bs=4k depth=1 count=1`);
      samples.push(inTrips(result.latency_us.mean / 1000));
    }
    return samples;
  };
  const flushes: number[] = [];
  for (let i = 0; i < count; i++) {
    const real = /real ([\d.]+) s/.exec(await card.run("time sync"));
    flushes.push(inTrips(Number(real![1]) * 1000));
  }
  return [
    row(`TCP alone, ${DELAY} ms added each way`, "ms", { proxy: tripsOf }),
    row("read, 4 KiB", "round trips", { bridge: await one("randread") }, { wanted: WANTED }),
    row("write, 4 KiB", "round trips", { bridge: await one("randwrite") }, { wanted: WANTED }),
    row("flush", "round trips", { bridge: flushes }, { wanted: WANTED }),
  ];
}

/** Round trips of one byte through the same proxy, ms. */
async function measureTrips(
  through: (port: number) => Promise<number>,
  count: number,
): Promise<number[]> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const echo = (async () => {
    using conn = await listener.accept();
    conn.setNoDelay(true);
    const byte = new Uint8Array(1);
    while (await conn.read(byte) !== null) await conn.write(byte);
  })();
  const trips: number[] = [];
  {
    const port = await through(listener.addr.port);
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conn.setNoDelay(true);
    const byte = new Uint8Array(1);
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await conn.write(byte);
      await conn.read(byte);
      trips.push(performance.now() - start);
    }
  }
  await echo;
  return trips;
}
