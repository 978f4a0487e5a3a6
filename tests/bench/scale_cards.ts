/**
 * Many cards that run the diagnostic OS, in one process, and the load on their disks.
 *
 * Its arguments are the host's port and the number of cards. Asked for a load on the first so many cards, it
 * starts it on all of them at once and answers with a {@linkcode ScaleResult}.
 *
 * @module
 */
import { bench, type Latencies } from "../../card/machine/diag/os/bench.ts";
import { CardProcess } from "../support/card_farm.ts";
import { converse } from "./conversation.ts";

/** Small random reads for so many seconds, or so many large random writes of each card. */
export type ScaleQuestion =
  & { readonly cards: number }
  & (
    | { readonly seconds: number }
    | { readonly writes: number }
  );

export interface ScaleResult {
  /** Of all cards together, from the first request to the last answer. */
  readonly iops: number;
  /** Of each card. */
  readonly latency_us: readonly Latencies[];
}

const [port, count] = Deno.args.map(Number);
const cards = Array.from({ length: count! }, (_, number) => new CardProcess(port!, number));

const READS = { rw: "randread", bs: 4096, depth: 32, count: Infinity } as const;
const WRITES = { rw: "randwrite", bs: 128 * 1024, depth: 32, seconds: Infinity } as const;

async function load(question: ScaleQuestion): Promise<ScaleResult> {
  const options = "writes" in question
    ? { ...WRITES, count: question.writes, places: Infinity }
    : { ...READS, seconds: question.seconds, places: Infinity };
  const begin = performance.now();
  const results = await Promise.all(
    cards.slice(0, question.cards).map(({ os }) => bench(os.disk, os.heap, options, os.signal)),
  );
  const elapsed = (performance.now() - begin) / 1000;
  const requests = results.reduce((sum, { requests }) => sum + requests, 0);
  return { iops: requests / elapsed, latency_us: results.map(({ latency_us }) => latency_us) };
}

await converse(load);
