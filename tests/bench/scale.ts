/**
 * Scale: how much many cards get out of one host process together, and what each costs it in memory.
 *
 * @module
 */
import { LabProcess } from "../support/lab_process.ts";
import { memoryUse } from "../support/memory_use.ts";
import { Conversation } from "./conversation.ts";
import { type BenchContext, type Latency, median, type Row, row } from "./figures.ts";
import type { CardsQuestion, CardsResult } from "./load_cards.ts";

const COUNTS = [1, 4, 16, 64] as const;
const CARDS = 64;
const PERMISSIONS = ["--allow-net=127.0.0.1"];
const LIMIT = 3_600_000;
/** Code that is not compiled yet has no figure, s. */
const WARM_UP = 0.5;
/** Sparse, and each card's own. */
const DISK_BYTES = 16 * 2 ** 20;
/** So many cards make so many writes of 128 KiB: more than a queue's staging area has room for. */
const WRITERS = 8;
const WRITES = 144;

interface Variant {
  readonly totals: number[];
  readonly latencies: Latency[];
}

export async function scale({ quick, folder, progress }: BenchContext): Promise<Row[]> {
  const rounds = quick ? 3 : 9;
  const seconds = quick ? 0.15 : 1;
  await using host = await startHost(folder);
  const { port } = await host.event(({ type }) => type === "listening");
  // Until it has got over what it did.
  const settled = async (): Promise<number> => {
    await new Promise((resolve) => setTimeout(resolve, quick ? 400 : 1000));
    return (await memoryUse(host.pid)).now;
  };
  const empty = await settled();
  await using cards = new Conversation("load_cards.ts", PERMISSIONS, [
    String(port),
    String(CARDS),
  ]);
  for (let number = 0; number < CARDS; number++) {
    await host.event(({ card, event }) =>
      card === `mic${number}` && (event as { state?: string } | undefined)?.state === "online"
    );
  }
  progress(`${CARDS} cards are online`);
  const full = await settled();
  const idle = (full - empty) / CARDS;
  const variants = await measure(cards, rounds, seconds);
  const before = await settled();
  const writes = { rw: "randwrite", bs: 128 * 1024, depth: 32, count: WRITES } as const;
  await cards.ask({ cards: WRITERS, ...writes } satisfies CardsQuestion);
  const after = idle + (await settled() - before) / WRITERS;
  const name = (count: number) => count === 1 ? "1 card" : `${count} cards`;
  const by = <T>(pick: (variant: Variant) => T): Record<string, T> =>
    Object.fromEntries(COUNTS.map((count) => [name(count), pick(variants.get(count)!)]));
  // The most cards first: their total is to be no less than that of one.
  const totals = Object.fromEntries(Object.entries(by(({ totals }) => totals)).reverse());
  return [
    row("4 KiB random reads of all, depth 32 each", "IOPS", totals, {
      wanted: { [name(1)]: "ratio at least 1" },
      latencies: by(({ latencies }) => latencies),
    }),
    row("host memory for each of 64 cards, idle", "MiB", { bridge: [idle] }, {
      wanted: "at most 8",
    }),
    row(`the same, after ${WRITES} writes of 128 KiB, depth 32`, "MiB", { bridge: [after] }, {
      wanted: "at most 8",
    }),
  ];
}

async function startHost(folder: string): Promise<LabProcess> {
  const cards: Record<string, unknown> = {};
  for (let number = 0; number < CARDS; number++) {
    const disk = `${folder}/mic${number}.img`;
    await Deno.writeFile(disk, new Uint8Array());
    await Deno.truncate(disk, DISK_BYTES);
    cards[`mic${number}`] = { os: "diag", disks: [disk] };
  }
  const file = `${folder}/knightsbridge.jsonc`;
  const config = { listen: "127.0.0.1:0", state: `${folder}/state`, cards };
  await Deno.writeTextFile(file, JSON.stringify(config));
  const args = ["--config", file, "--control", "none", "--json"];
  return await LabProcess.start("host", args, { limit: LIMIT });
}

async function measure(
  cards: Conversation,
  rounds: number,
  seconds: number,
): Promise<Map<number, Variant>> {
  const run = (count: number, time: number) =>
    cards.ask<CardsResult>(
      {
        cards: count,
        ...{ rw: "randread", bs: 4096, depth: 32 },
        seconds: time,
      } satisfies CardsQuestion,
    );
  await run(CARDS, WARM_UP);
  const variants = new Map(COUNTS.map((count): [number, Variant] => [
    count,
    { totals: [], latencies: [] },
  ]));
  for (let round = 0; round < rounds; round++) {
    for (const [count, { totals, latencies }] of variants) {
      const { iops, latency_us } = await run(count, seconds);
      totals.push(iops);
      latencies.push({
        p50: median(latency_us.map(({ p50 }) => p50)),
        // Of the card that has it worst.
        p99: Math.max(...latency_us.map(({ p99 }) => p99)),
      });
    }
  }
  return variants;
}
