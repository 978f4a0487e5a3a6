// Storms: interrupts, messages, writes and faults as fast as the link carries them, over TCP, from a card process that
// keeps to the wire; and doorbells from a host. Figures are printed; card and host share this process and its two hands.
import { assert, assertEquals } from "@std/assert";
import { dialTcp, listenTcp, page } from "../../protocol/mod.ts";
import { BootRig } from "../support/boot_rig.ts";
import { CONFIG_WRITE, HostileCard, POST_CODE } from "../support/hostile_card.ts";
import { turnsUntil } from "../support/turns.ts";

const encoder = new TextEncoder();
const print = (line: string) => Deno.stdout.writeSync(encoder.encode(`  ${line}\n`));

/** A hostile card on a TCP connection of its own. */
function boot(): Promise<HostileCard> {
  const listener = listenTcp("127.0.0.1", 0);
  const dial = () => dialTcp("127.0.0.1", listener.port, new AbortController().signal);
  return HostileCard.boot({ listener, dial });
}

/** Does `send` so many times, as fast as the link takes it. */
async function flood({ link }: HostileCard, count: number, send: (i: number) => void) {
  for (let i = 0; i < count; i++) {
    while (!link.writable) {
      const { promise, resolve } = Promise.withResolvers<void>();
      link.onWritable(resolve);
      await promise;
    }
    send(i);
  }
}

interface Figures {
  /** Milliseconds. */
  readonly storm: number;
  readonly reads: number;
  readonly median: number;
  readonly longest: number;
  /** Longest that a timer of this process came late. */
  readonly late: number;
}

/** The second disk is read, one sector after the other, and a timer goes, while `storm` lasts. */
async function beside(card: HostileCard, storm: () => Promise<void>): Promise<Figures> {
  let over = false;
  let late = 0;
  let due = performance.now() + 5;
  const timer = setInterval(() => {
    late = Math.max(late, performance.now() - due);
    due = performance.now() + 5;
  }, 5);
  const times: number[] = [];
  const reading = (async () => {
    do {
      const begun = performance.now();
      await card.read(1);
      times.push(performance.now() - begun);
    } while (!over);
  })();
  const begun = performance.now();
  try {
    await storm();
    await card.settled();
  } finally {
    over = true;
    clearInterval(timer);
  }
  const lasted = performance.now() - begun;
  await reading;
  times.sort((a, b) => a - b);
  return {
    storm: lasted,
    reads: times.length,
    median: times[times.length >> 1]!,
    longest: times.at(-1)!,
    late,
  };
}

const said = (what: string, f: Figures) =>
  print(
    `${what}: ${f.storm.toFixed(0)} ms; the other disk served ${f.reads} reads, median ` +
      `${f.median.toFixed(1)} ms, longest ${f.longest.toFixed(1)} ms; timers at most ${
        f.late.toFixed(1)
      } ms late`,
  );

interface Storm {
  readonly what: string;
  readonly count: number;
  send(card: HostileCard, i: number): void;
}

const STORMS: readonly Storm[] = [
  { what: "nothing", count: 0, send() {} },
  { what: "MSI for one disk", count: 1_000_000, send: (card) => card.msi(1) },
  { what: "MSI for all vectors there are", count: 200_000, send: (card, i) => card.msi(i & 31) },
  { what: "MSI for vectors that are not", count: 50_000, send: (card, i) => card.msi(32 + i) },
  {
    what: "POST codes",
    count: 200_000,
    send: (card, i) => card.link.message(POST_CODE, i & 0xffff),
  },
  {
    what: "configuration writes between interrupts",
    count: 100_000,
    send(card, i) {
      card.msi(1);
      card.link.message(CONFIG_WRITE, (i % 300) << 16 | 1 << 8, i);
    },
  },
  {
    what: "writes of 1024 spans that nobody maps",
    count: 100,
    send(card) {
      card.link.openWrite(Array.from({ length: 1024 }, (_, i) => ({ address: i, length: 1 })));
    },
  },
  {
    what: "headers of the host page",
    count: 50_000,
    send: (card, i) => card.report({ card_state: 3, heartbeat: i }),
  },
];

for (const { what, count, send } of STORMS) {
  Deno.test(`a storm of ${what} does not keep the other disk from being served`, async () => {
    await using card = await boot();
    card.start(0);
    card.start(1);
    await card.read(0);
    const figures = await beside(card, () => flood(card, count, (i) => send(card, i)));
    said(`${count} ${what}`, figures);
    await card.read(0);
    assertEquals([card.driver.faults, card.driver.state], [{}, "online"]);
  });
}

Deno.test("POST codes without end are told twenty a second, and counted", async () => {
  const begun = performance.now();
  await using card = await boot();
  const before = card.driver.postCodes.length;
  const codes = 20_000;
  await flood(card, codes, (i) => card.link.message(POST_CODE, i & 0xffff));
  const all = () => count(card, "post_code", "POST codes");
  await turnsUntil(() => sum(all()) === codes + before, "every POST code is told or counted");
  assertBounded(all().told, begun);
  assertEquals(card.driver.postCodes.length, 256);
  print(`${codes} POST codes: ${all().told} told, ${all().untold} as a number`);
});

Deno.test("a device that faults and is reset without end is told of twenty times a second, and counted", async () => {
  const begun = performance.now();
  await using card = await boot();
  card.start(1);
  const rounds = 500;
  const figures = await beside(card, async () => {
    for (let round = 0; round < rounds; round++) {
      card.start(0);
      card.offer(0, {});
      await card.settled();
      await card.reset(0);
    }
  });
  said(`${rounds} faults and resets`, figures);
  assertEquals(card.driver.faults, { request: rounds });
  const all = () => count(card, "fault", "faults of");
  await turnsUntil(() => sum(all()) === rounds, "every fault is told or counted");
  assertBounded(all().told, begun);
  print(`${rounds} faults: ${all().told} told, ${all().untold} as a number`);
});

/** Twenty for each second that has begun. */
function assertBounded(told: number, begun: number): void {
  const most = 20 * Math.ceil((performance.now() - begun) / 1000);
  assert(told <= most, `${told} were told, wanted at most ${most}`);
}

const sum = ({ told, untold }: { told: number; untold: number }) => told + untold;

/** How many events of `type` the host has told, and how many it has only counted. */
function count({ events }: HostileCard, type: string, what: string) {
  let told = 0;
  let untold = 0;
  for (const event of events) {
    if (event.type !== "card") continue;
    if (event.event.type === type) told++;
    if (event.event.type === "suppressed" && event.event.what.startsWith(what)) {
      untold += event.event.count;
    }
  }
  return { told, untold };
}

Deno.test("doorbells without end make a card post nothing", async () => {
  await using rig = new BootRig();
  await rig.bootstrap.powerOn();
  rig.download();
  rig.bootSignal();
  rig.host.link.forget();
  const begun = performance.now();
  for (let i = 0; i < 200_000; i++) rig.ring(i % page.SLOTS, i & 0xffff);
  print(`200000 doorbells: ${(performance.now() - begun).toFixed(0)} ms`);
  assertEquals(rig.host.link.posted, []);
});
