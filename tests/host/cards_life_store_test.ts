// What of a card's life outlives its host, on real files; hosts in memory one after the other, real driver and card.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { KEPT_BOOTS } from "../../host/cards/boot_recorder.ts";
import { LifeStore } from "../../host/cards/life_store.ts";
import { bootedCard, HostBench } from "../support/host_bench.ts";

const never = (error: Error) => {
  throw error;
};
const record = (number: number) => ({
  number,
  os: "diag",
  begun: 1,
  ended: 2,
  steps: [{ step: "booting", time: 1 }],
  postCodes: [{ code: "FF", time: 1 }],
});

Deno.test("LifeStore gives the next host what was kept, and the newest boots only", async () => {
  const state = await Deno.makeTempDir();
  {
    await using store = LifeStore.open(state, "mic0", never);
    assertEquals(store.saved, { bootCount: 0, crashCount: 0, records: [] });
    for (let number = 1; number <= KEPT_BOOTS + 3; number++) store.keepBoot(record(number));
    store.keepLife({ bootCount: KEPT_BOOTS + 3, crashCount: 7, suspended: { ran: true } });
  }
  await using store = LifeStore.open(state, "mic0", never);
  const { records, ...life } = store.saved;
  assertEquals(life, { bootCount: KEPT_BOOTS + 3, crashCount: 7, suspended: { ran: true } });
  assertEquals(records, Array.from({ length: KEPT_BOOTS }, (_, i) => record(i + 4)));
  const files = await Array.fromAsync(Deno.readDir(`${state}/mic0`), ({ name }) => name);
  assertEquals(files.length, KEPT_BOOTS + 1);
  // Another card's is its own.
  await using other = LifeStore.open(state, "mic1", never);
  assertEquals(other.saved.bootCount, 0);
  await Deno.remove(state, { recursive: true });
});

Deno.test("LifeStore leaves out files that are broken, says which, and keeps the others", async () => {
  const state = await Deno.makeTempDir();
  {
    await using store = LifeStore.open(state, "mic0", never);
    for (const number of [1, 2, 3]) store.keepBoot(record(number));
    store.keepLife({ bootCount: 3, crashCount: 0 });
  }
  await Deno.writeTextFile(`${state}/mic0/boot-000001.json`, `{"number":1,`);
  await Deno.writeTextFile(`${state}/mic0/boot-000002.json`, `{"number":2,"steps":[{}]}`);
  await Deno.writeTextFile(`${state}/mic0/card.json`, `{"bootCount":-1,"crashCount":0}`);
  const errors: string[] = [];
  await using store = LifeStore.open(state, "mic0", (error) => errors.push(error.message));
  assertEquals(store.saved, { bootCount: 0, crashCount: 0, records: [record(3)] });
  assertEquals(errors.map((text) => text.match(/[\w-]+\.json/)![0]).sort(), [
    "boot-000001.json",
    "boot-000002.json",
    "card.json",
  ]);
  await Deno.remove(state, { recursive: true });
});

Deno.test("LifeStore says once that it cannot write, and goes on when it can", async () => {
  const state = await Deno.makeTempDir();
  const errors: string[] = [];
  await using store = LifeStore.open(state, "mic0", (error) => errors.push(error.message));
  await Deno.remove(`${state}/mic0`, { recursive: true });
  for (const number of [1, 2]) {
    store.keepBoot(record(number));
    await store.flush();
  }
  assertEquals(errors.length, 1);
  assertMatch(errors[0]!, /^Cannot write '.*boot-000001\.json': .*; what happens is not kept$/);
  await Deno.mkdir(`${state}/mic0`);
  store.keepBoot(record(3));
  await store.flush();
  assertEquals(LifeStore.open(state, "mic0", never).saved.records, [record(3)]);
  await Deno.remove(state, { recursive: true });
});

Deno.test("Boots and crashes are counted on by the next host, which continues the record of a card OS that it adopts", async () => {
  const state = await Deno.makeTempDir();
  const signal = AbortSignal.timeout(20_000);
  {
    await using bench = new HostBench({ state });
    const card = await bootedCard(bench);
    await bench.controlled.waitFor(["online"], signal);
    card.machine.events!.stopped("crashed", "Kernel panic - not syncing");
    await bench.controlled.waitFor(["ready"], signal);
    await bench.controlled.boot();
    await bench.controlled.waitFor(["online"], signal);
    await bench.control[Symbol.asyncDispose]();
    await using next = new HostBench({ state });
    card.turnTo(next);
    await next.controlled.waitFor(["online"], signal);
    const { boot, bootCount, crashCount } = next.controlled.status();
    assertEquals([boot, bootCount, crashCount], [2, 2, 1]);
    const [first, second] = next.controlled.boots();
    assertEquals([first!.number, first!.reason, first!.detail], [
      1,
      "crashed",
      "Kernel panic - not syncing",
    ]);
    assertEquals(second!.steps.map(({ step }) => step).slice(-4), [
      "online",
      "connected",
      "probed",
      "adopted",
    ]);
    assertEquals(second!.ended, undefined);
    card.machine.events!.stopped("poweroff", "");
    await next.controlled.waitFor(["ready"], signal);
    assertEquals(next.controlled.boots().at(-1)!.reason, "poweroff");
  }
  await Deno.remove(state, { recursive: true });
});

Deno.test("A record that no host saw the end of is ended by the next boot", async () => {
  const state = await Deno.makeTempDir();
  {
    await using bench = new HostBench({ state });
    await bootedCard(bench);
    await bench.controlled.waitFor(["online"], AbortSignal.timeout(10_000));
  }
  {
    // Another card process: what ran is gone.
    await using bench = new HostBench({ state });
    await bootedCard(bench);
    await bench.controlled.waitFor(["online"], AbortSignal.timeout(10_000));
    const [first, second] = bench.controlled.boots();
    assertEquals([first!.number, second!.number], [1, 2]);
    assert(first!.ended !== undefined);
    assertEquals([second!.ended, second!.reason], [undefined, undefined]);
  }
  await Deno.remove(state, { recursive: true });
});

Deno.test("A card that was suspended stays so over processes and hosts, and resume boots what ran", async () => {
  const state = await Deno.makeTempDir();
  const signal = AbortSignal.timeout(20_000);
  {
    await using bench = new HostBench({ state });
    const card = await bootedCard(bench);
    await bench.controlled.waitFor(["online"], signal);
    card.machine.requestShutdown = () => card.machine.events!.stopped("poweroff", "");
    await bench.controlled.suspend();
    await bench.controlled.waitFor(["suspended"], signal);
    await card[Symbol.asyncDispose]();
    await bench.controlled.waitFor(["absent"], signal);
    assertMatch(bench.controlled.why().advice, /stays suspended until "ctl resume mic0"/);
    bench.startCard();
    await bench.controlled.waitFor(["suspended"], signal);
  }
  {
    await using bench = new HostBench({ state });
    assertEquals(bench.controlled.status().suspendedOs, true);
    bench.startCard();
    const { suspendedOs, bootCount } = await bench.controlled.waitFor(["suspended"], signal);
    assertEquals([suspendedOs, bootCount], [true, 1]);
    await bench.controlled.resume();
    await bench.controlled.waitFor(["online"], signal);
    assertEquals(bench.controlled.status().suspendedOs, false);
  }
  {
    await using bench = new HostBench({ state, autoboot: false });
    bench.startCard();
    await bench.controlled.waitFor(["ready"], signal);
    await bench.controlled.suspend();
    await bench.controlled.waitFor(["suspended"], signal);
  }
  {
    // Nothing ran, and nothing is booted.
    await using bench = new HostBench({ state });
    bench.startCard();
    await bench.controlled.waitFor(["suspended"], signal);
    await bench.controlled.resume();
    assertEquals(bench.controlled.status().state, "ready");
  }
  await Deno.remove(state, { recursive: true });
});

Deno.test("A suspended card is resumed while no process is there: the next one boots what ran", async () => {
  const signal = AbortSignal.timeout(10_000);
  await using bench = new HostBench({ autoboot: false, suspended: { ran: true } });
  await bench.controlled.resume();
  bench.startCard();
  await bench.controlled.waitFor(["online"], signal);
});

Deno.test("A card OS that outlived a host which was suspending it is suspended by the next one", async () => {
  const signal = AbortSignal.timeout(20_000);
  await using bench = new HostBench();
  const card = await bootedCard(bench);
  await bench.controlled.waitFor(["online"], signal);
  await bench.control[Symbol.asyncDispose]();
  card.machine.requestShutdown = () => card.machine.events!.stopped("poweroff", "");
  await using next = new HostBench({ suspended: { ran: false } });
  card.turnTo(next);
  const { suspendedOs, reason } = await next.controlled.waitFor(["suspended"], signal);
  assertEquals([suspendedOs, reason], [true, "poweroff"]);
});
