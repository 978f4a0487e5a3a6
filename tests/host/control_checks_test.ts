// The points of `check`, on real cards in memory; what only a far server or network can do is told to them.
import { assertEquals, assertMatch } from "@std/assert";
import { MemoryBackend } from "../../host/backends/memory.ts";
import type { CardControl, CardStatus } from "../../host/control/card_control.ts";
import { type Check, checksOf } from "../../host/control/checks.ts";
import { ExecChannel } from "../../host/control/exec.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { bootedCard, HostBench, MIB, setUpDriver } from "../support/host_bench.ts";

const outcomes = (checks: readonly Check[]) =>
  checks.map(({ number, outcome }) => `${number} ${outcome}`);
const signal = () => AbortSignal.timeout(10_000);
const disk = () => new BlockDevice({ backend: new MemoryBackend(new Uint8Array(MIB)) });

/** `card`, as it would be with another status. */
const changed = (card: CardControl, change: (status: CardStatus) => CardStatus): CardControl =>
  Object.assign(Object.create(card), {
    status: () => change(card.status()),
    why: () => card.why(),
    info: () => card.info(),
    stats: () => ({ ...card.stats(), link: { roundTrip: 700 } }),
    exec: () => Promise.resolve(0),
  });

Deno.test("checksOf() stops at the point that decides, and says what to do", async () => {
  await using bench = new HostBench({ autoboot: false });
  const absent = await checksOf(bench.controlled, signal());
  assertEquals(outcomes(absent), [
    "1 fail",
    ...[2, 3, 4, 5, 6, 7, 8].map((number) => `${number} skip`),
  ]);
  assertEquals(absent[0]!.detail, "no card process has connected as mic0");
  assertMatch(absent[0]!.advice!, /deno task card/);
  bench.startCard();
  await bench.controlled.waitFor(["ready"], signal());
  const ready = await checksOf(bench.controlled, signal());
  assertEquals(outcomes(ready).slice(0, 5), ["1 pass", "2 pass", "3 pass", "4 fail", "5 skip"]);
  assertMatch(ready[3]!.detail, /^state ready, POST 12: mic0 is ready, and was not booted yet/);
});

Deno.test("checksOf() tells drivers, faults, backends and a slow link apart", async () => {
  await using one = disk();
  await using two = disk();
  const exec = new ExecChannel();
  await using bench = new HostBench({ devices: [one, two], exec });
  const card = await bootedCard(bench);
  const driver = setUpDriver(card.machine, 0);
  await bench.controlled.waitFor(["online"], signal());
  driver.add([{ address: 5 * MIB, length: 16 }], []);
  card.machine.functions[0]!.write(0x40, 2, 0);
  await bench.sees((e) => e.type === "card" && e.event.type === "fault" || undefined);
  const checks = await checksOf(
    changed(bench.controlled, (status) => ({
      ...status,
      devices: status.devices.map((device) => ({ ...device, waiting: "waits for its server" })),
    })),
    signal(),
  );
  assertEquals(outcomes(checks), [
    "1 pass",
    "2 fail",
    "3 pass",
    "4 pass",
    "5 fail",
    "6 fail",
    "7 fail",
    "8 pass",
  ]);
  assertEquals(checks[1]!.detail, "the last heartbeat took 700.0 ms");
  assertEquals(checks[4]!.detail, "disk1 has none");
  assertEquals(checks[5]!.detail, "disk0 does");
  assertMatch(checks[6]!.detail, /^disk0 \(.*\) waits for its server; disk1/);
});
