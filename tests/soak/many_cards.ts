/**
 * One host with 32 cards: what each costs the host in memory, how soon all are online, and how they come and go for long
 * while others work.
 *
 * @module
 */
import { CardFarm, CardProcess } from "../support/card_farm.ts";
import { comeAndGo, workOnDisk } from "../support/come_and_go.ts";
import { LabProcess } from "../support/lab_process.ts";
import { memoryUse } from "../support/memory_use.ts";
import { Random } from "../support/random.ts";
import type { SoakFigures, SoakRun } from "./types.ts";

const CARDS = 32;
/** Of these, in the second part, cards that stay and work. */
const STEADY = 8;
const TIMES = 50;
const QUICK_TIMES = 2;
const HANG_LIMIT = 600_000;

export async function manyCards({ seed, quick, folder, say }: SoakRun): Promise<SoakFigures> {
  const daemon = await daemonOf(CARDS, folder, say);
  const random = new Random(seed);
  await using farm = await CardFarm.start({ cards: CARDS });
  const numbers = Array.from({ length: CARDS }, (_, number) => number);
  const steady = numbers.slice(0, STEADY).map((number) => farm.power(number));
  await Promise.all(numbers.slice(0, STEADY).map((number) => farm.online(number)));
  const stop = new AbortController();
  const working = steady.map((card) => workOnDisk(card, stop.signal));
  const times = quick ? QUICK_TIMES : TIMES;
  let left = CARDS - STEADY;
  await Promise.all(
    numbers.slice(STEADY).map(async (number) => {
      await comeAndGo(farm, number, times, random);
      say(`mic${number} has come and gone ${times} times; ${--left} left`);
    }),
  );
  stop.abort();
  const rounds = await Promise.all(working);
  const lost = farm.events.filter((event) =>
    event.type === "gone" && numbers.slice(0, STEADY).includes(Number(event.card.slice(3)))
  );
  if (lost.length > 0) throw new Error(`A card that stayed was lost: ${Deno.inspect(lost)}`);
  return {
    ...daemon,
    "comings and goings": times * (CARDS - STEADY),
    "sectors written and read back by those who stay": rounds.reduce((a, b) => a + b, 0),
  };
}

/** A host process of its own; the cards are in this one. */
async function daemonOf(
  count: number,
  folder: string,
  say: SoakRun["say"],
): Promise<SoakFigures> {
  const cards = Object.fromEntries(
    Array.from({ length: count }, (_, number) => [`mic${number}`, {
      os: "diag",
      net: "hub:lab",
      disks: ["mem:64K"],
    }]),
  );
  const file = `${folder}/knightsbridge.jsonc`;
  const config = { listen: "127.0.0.1:0", state: "state", networks: { lab: {} }, cards };
  await Deno.writeTextFile(file, JSON.stringify(config));
  const begun = performance.now();
  const control = `${folder}/host.sock`;
  const args = ["--config", file, "--control", control, "--json"];
  await using host = await LabProcess.start("host", args, { limit: HANG_LIMIT });
  const { port } = await host.event(({ type }) => type === "listening");
  const listening = performance.now() - begun;
  const empty = await memoryUse(host.pid);
  const from = performance.now();
  await using processes = new AsyncDisposableStack();
  for (let number = 0; number < count; number++) {
    processes.use(new CardProcess(port as number, number));
  }
  for (const name of Object.keys(cards)) {
    await host.event(({ type, card, event }) => {
      const inner = event as { type?: string; state?: string } | undefined;
      return type === "card" && card === name && inner?.state === "online";
    });
  }
  const online = performance.now() - from;
  const full = await memoryUse(host.pid);
  const asked = performance.now();
  await using status = await LabProcess.start("ctl", ["--control", control, "status"]);
  if (await status.ended !== 0) throw new Error(status.transcript());
  const told = performance.now() - asked;
  const lines = status.stdout.match(/online/g)?.length;
  if (lines !== count) throw new Error(`${lines} cards of ${count} are online: ${status.stdout}`);
  say(`${count} cards online: the host has ${full.now} MiB`);
  return {
    cards: count,
    "host listens after, ms": Math.round(listening),
    "all cards online after, ms": Math.round(online),
    "ctl status, ms": Math.round(told),
    "host without cards, MiB": empty.now,
    "host memory per card, MiB": ((full.now - empty.now) / count).toFixed(1),
    "host at most, MiB": full.peak,
  };
}
