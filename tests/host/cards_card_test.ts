// The life of a card over its processes, and several cards on one host: real driver, link and endpoint; the machine is
// the test's own.
import { assertEquals, assertRejects } from "@std/assert";
import { BackendError } from "../../protocol/mod.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { bootedCard, HostBench, IMAGES } from "../support/host_bench.ts";

/** What stays as it is, however often it is tried. */
const fault = (text: string) => ({
  text,
  lend: () => Promise.reject(new BackendError(text)),
});

Deno.test("Card boots again a second after a crash, if that is its policy", async () => {
  using clock = fakeClock();
  await using bench = new HostBench({ restart: "on-failure" });
  const card = bench.startCard();
  while (bench.card.state !== "online") await clock.tick(0);
  card.machine.events!.stopped("crashed", "");
  while (bench.card.nextBoot === undefined) await clock.tick(0);
  assertEquals([bench.card.state, bench.card.reason], ["ready", "crashed"]);
  await clock.tick(990);
  assertEquals(bench.card.state, "ready");
  await clock.tick(10);
  while (bench.card.state !== "online") await clock.tick(0);
  assertEquals([bench.card.nextBoot, card.machines.length], [undefined, 2]);
});

Deno.test("Card takes a boot by hand while it waits for the next one", async () => {
  await using bench = new HostBench({ restart: "always" });
  const card = await bootedCard(bench);
  await bench.card.waitFor(["online"]);
  card.machine.events!.stopped("poweroff", "");
  await bench.sees((e) => e.type === "stopped" || undefined);
  await bench.card.boot();
  await bench.card.waitFor(["online"]);
  assertEquals(bench.card.nextBoot, undefined);
  // And its end is seen as that of any other boot.
  const from = bench.events.length;
  card.machine.events!.stopped("restart", "");
  await bench.seesState("online", from);
});

Deno.test("Card that is suspended boots nothing until it is resumed, and then what ran", async () => {
  await using bench = new HostBench({ restart: "always" });
  const card = await bootedCard(bench);
  await bench.card.waitFor(["online"]);
  const { machine } = card;
  machine.requestShutdown = () => machine.events!.stopped("poweroff", "");
  await bench.card.suspend();
  assertEquals([bench.card.state, bench.card.reason, bench.card.ranBeforeSuspend], [
    "suspended",
    "poweroff",
    true,
  ]);
  await assertRejects(
    () => bench.card.boot(),
    TypeError,
    "Cannot boot card: it is suspended, wanted ready",
  );
  await assertRejects(() => bench.card.suspend(), TypeError, "it is suspended");
  await bench.card.resume();
  await bench.card.waitFor(["online"]);
  assertEquals([bench.card.ranBeforeSuspend, card.machines.length], [false, 2]);
});

Deno.test("Card whose OS does not stop for a suspend is reset, and is suspended all the same", async () => {
  await using bench = new HostBench();
  const card = await bootedCard(bench);
  await bench.card.waitFor(["online"]);
  card.machine.requestShutdown = () => {};
  await bench.card.suspend(undefined, 1);
  assertEquals([bench.card.state, bench.card.reason], ["suspended", "nop"]);
  assertEquals(card.machines.length, 2);
});

Deno.test("Card that was ready when it was suspended is ready when it is resumed", async () => {
  await using bench = new HostBench({ autoboot: false });
  bench.startCard();
  await bench.card.waitFor(["ready"]);
  await bench.card.suspend();
  assertEquals([bench.card.state, bench.card.ranBeforeSuspend], ["suspended", false]);
  await bench.card.resume();
  assertEquals(bench.card.state, "ready");
  await bench.card.boot();
  await bench.card.waitFor(["online"]);
});

Deno.test("Card without a process is absent, and takes no command", async () => {
  await using bench = new HostBench();
  assertEquals([bench.card.state, bench.card.link, bench.card.peer], [
    "absent",
    undefined,
    undefined,
  ]);
  for (const command of ["boot", "shutdown", "reset", "suspend", "resume"] as const) {
    await assertRejects(
      () => bench.card[command]() as Promise<void>,
      TypeError,
      `Cannot ${command} mic0: no card process is connected`,
    );
  }
  const card = await bootedCard(bench);
  await bench.card.waitFor(["online"]);
  await card[Symbol.asyncDispose]();
  assertEquals(await bench.sees((e) => e.type === "gone" ? e.reason : undefined), "crashed");
  assertEquals([bench.card.state, bench.card.reason], ["absent", "crashed"]);
});

Deno.test("Host gives each card process the card that is bound to it, or the first free one", async () => {
  const cards = [
    { name: "mic0", devices: [], images: IMAGES },
    { name: "mic1", devices: [], images: IMAGES, identity: "07".repeat(16) },
    { name: "mic2", devices: [], images: IMAGES },
  ];
  await using bench = new HostBench({ cards });
  const nameOf = (identity: number) =>
    bench.sees((e) =>
      e.type === "connected" && e.identity.startsWith(`0${identity}`) ? e.card : undefined
    );
  const first = bench.startCard({ identity: 1 });
  assertEquals(await nameOf(1), "mic0");
  bench.startCard({ identity: 7 });
  assertEquals(await nameOf(7), "mic1");
  bench.startCard({ identity: 2 });
  assertEquals(await nameOf(2), "mic2");
  bench.startCard({ identity: 3 });
  const refused = await bench.sees((e) => e.type === "refused" ? e.text : undefined);
  assertEquals(
    refused,
    "Cannot serve card: mic0: another one is connected; mic2: another one is connected",
  );
  for (const name of ["mic0", "mic1", "mic2"]) {
    await bench.host.cards.get(name)!.waitFor(["online"]);
  }
  // One that goes leaves its place; the others notice nothing.
  await first[Symbol.asyncDispose]();
  assertEquals(await nameOf(3), "mic0");
  assertEquals(bench.host.cards.get("mic2")!.state, "online");
});

Deno.test("Card that cannot be lent its devices takes no process away from the others", async () => {
  const cards = [
    { name: "mic0", devices: [], images: IMAGES, fault: fault("no disk") },
    { name: "mic1", devices: [], images: IMAGES },
    { name: "mic2", devices: [], identity: "02".repeat(16), fault: fault("no disk either") },
  ];
  await using bench = new HostBench({ cards });
  bench.startCard({ identity: 1 });
  assertEquals(await bench.sees((e) => e.type === "connected" ? e.card : undefined), "mic1");
  await bench.host.cards.get("mic1")!.waitFor(["online"]);
  bench.startCard({ identity: 2 });
  assertEquals(
    await bench.sees((e) => e.type === "refused" ? e.text : undefined),
    "Cannot serve card: the host cannot lend it its devices: no disk either",
  );
  assertEquals(bench.host.cards.get("mic0")!.state, "absent");
});
