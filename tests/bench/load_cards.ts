/**
 * Cards that run the diagnostic OS, in one process, and loads on their disks.
 *
 * Its arguments are the host's port and the number of cards. Asked for a load on the first so many cards, it starts it
 * on all of them at once and answers with a {@linkcode CardsResult}.
 *
 * @module
 */
import process from "node:process";
import { bench, type BenchOptions, type Latencies } from "../../card/machine/diag/os/bench.ts";
import { CardProcess } from "../support/card_farm.ts";
import { converse } from "./conversation.ts";

/** A load on each card's disk number `disk`, 0 if not given; what has no limit here has none. */
export interface CardsQuestion
  extends
    Pick<BenchOptions, "rw" | "bs" | "depth">,
    Partial<Pick<BenchOptions, "seconds" | "count" | "places">> {
  readonly cards: number;
  readonly disk?: number;
}

export interface CardsResult {
  readonly requests: number;
  /** Of all cards together, from the first request to the last answer. */
  readonly iops: number;
  /** CPU time of this process meanwhile, microseconds. */
  readonly cpu: number;
  /** Of each card. */
  readonly latency_us: readonly Latencies[];
}

const [port, count] = Deno.args.map(Number);
const cards = Array.from({ length: count! }, (_, number) => new CardProcess(port!, number));

async function load(
  { cards: loaded, disk = 0, ...options }: CardsQuestion,
): Promise<CardsResult> {
  const endless = { seconds: Infinity, count: Infinity, places: Infinity };
  const before = process.cpuUsage();
  const begin = performance.now();
  const results = await Promise.all(
    cards.slice(0, loaded).map(({ os }) =>
      bench(os.disks[disk]!, os.heap, { ...endless, ...options }, os.signal)
    ),
  );
  const elapsed = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(before);
  const requests = results.reduce((sum, { requests }) => sum + requests, 0);
  return {
    requests,
    iops: requests / elapsed,
    cpu: user + system,
    latency_us: results.map(({ latency_us }) => latency_us),
  };
}

await converse(load);
