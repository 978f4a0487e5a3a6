// A host and its cards as the control plane sees them: real driver, link and endpoint; the machine is the test's own.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { ControlEvent } from "../../host/control/card_control.ts";
import { ExecChannel } from "../../host/control/exec.ts";
import { bootedCard, HostBench, IMAGES, setUpDriver } from "../support/host_bench.ts";
import { MemoryBackend } from "../../host/backends/memory.ts";
import { BlockDevice } from "../../host/devices/block.ts";
import { ConsoleDevice } from "../../host/devices/console.ts";

const disk = () => new BlockDevice({ backend: new MemoryBackend(new Uint8Array(1 << 20)) });

Deno.test("status() of a card without a process is absent, and names what it would be lent", async () => {
  const exec = new ExecChannel();
  await using one = disk();
  await using two = disk();
  await using console = new ConsoleDevice(exec.ports);
  await using bench = new HostBench({ devices: [one, two, console], exec });
  const { devices, ...status } = bench.controlled.status();
  assertEquals({ ...status, since: 0 }, {
    name: "mic0",
    state: "absent",
    reason: "nop",
    link: "none",
    since: 0,
    os: "diag",
    boot: 0,
    bootCount: 0,
    crashCount: 0,
    restart: "never",
    suspendedOs: false,
  });
  assertEquals(devices.map(({ name, kind, status, size }) => [name, kind, status, size]), [
    ["disk0", "block", 0, 1 << 20],
    ["disk1", "block", 0, 1 << 20],
    ["console0", "console", 0, undefined],
  ]);
  assertEquals(bench.controlled.info(), undefined);
  await assertRejects(() => bench.controlled.configSpace(), TypeError, "no card process");
  await assertRejects(
    () => bench.controlled.exec("true", { stdout() {}, stderr() {} }),
    TypeError,
    "Cannot run a command on mic0: it is absent, wanted online",
  );
  assertEquals(exec.waitsFor, "card");
});

Deno.test("status() of a card that is online has its machine, its boot, and the features its driver took", async () => {
  await using device = disk();
  await using bench = new HostBench({ devices: [device] });
  const card = await bootedCard(bench);
  setUpDriver(card.machine, 0x200);
  await bench.sees((e) => e.type === "card" && e.event.type === "device_started" || undefined);
  await bench.controlled.waitFor(["online"], AbortSignal.timeout(10_000));
  const { since, uptime, peer, ...status } = bench.controlled.status();
  assert(Date.now() - since < 60_000 && uptime! < 60 && peer !== undefined);
  assertEquals(status, {
    name: "mic0",
    state: "online",
    reason: "nop",
    link: "up",
    identity: "01".repeat(16),
    os: "diag",
    platform: "diag",
    memoryMib: 4,
    boot: 1,
    bootCount: 1,
    crashCount: 0,
    postCode: "FF",
    restart: "never",
    suspendedOs: false,
    devices: [{
      slot: 0,
      name: "disk0",
      kind: "block",
      backend: device.name.slice("block ".length),
      status: 15,
      features: ["FLUSH", "VERSION_1"],
      size: 1 << 20,
      needsReset: false,
    }],
  });
  const config = await bench.controlled.configSpace();
  assertEquals([config.length, config[0], config[1]], [256, 0x86, 0x80]);
  const { link, devices } = bench.controlled.stats();
  assert(link.framesSent! > 0 && link.bytesReceived! > 0);
  assertEquals(Object.keys(devices), ["disk0"]);
});

Deno.test("Commands return when they are under way, and are refused where the state does not allow them", async () => {
  await using bench = new HostBench({ autoboot: false });
  const { controlled } = bench;
  await assertRejects(() => controlled.boot(), TypeError, "no card process is connected");
  const card = bench.startCard();
  const signal = AbortSignal.timeout(10_000);
  await controlled.waitFor(["ready"], signal);
  await assertRejects(() => controlled.shutdown(), TypeError, "it is ready, wanted online");
  await controlled.boot();
  assertEquals(controlled.status().state, "booting");
  assertEquals((await controlled.waitFor(["online"], signal)).state, "online");
  await assertRejects(() => controlled.boot(), TypeError, "it is online, wanted ready");
  card.machine.requestShutdown = () => {};
  await controlled.shutdown();
  assertEquals(controlled.status().state, "shutting_down");
  await controlled.reset();
  assertEquals(controlled.status().state, "resetting");
  await controlled.reset();
  await controlled.waitFor(["ready"], signal);
  await controlled.suspend();
  await controlled.waitFor(["suspended"], signal);
  await assertRejects(() => controlled.suspend(), TypeError, "it is suspended");
  await controlled.resume();
  assertEquals(controlled.status().state, "ready");
});

Deno.test("subscribe() tells of states, steps and lines of each card until it is ended", async () => {
  await using bench = new HostBench();
  const events: ControlEvent[] = [];
  const end = bench.control.subscribe((event) => events.push(event));
  await bootedCard(bench);
  await bench.controlled.waitFor(["online"], AbortSignal.timeout(10_000));
  const states = events.flatMap((e) => e.type === "card" ? [e.status.state] : []);
  assertEquals(states.filter((state, i) => state !== states[i - 1]), [
    "absent",
    "resetting",
    "ready",
    "booting",
    "online",
  ]);
  const steps = events.flatMap((e) => e.type === "step" ? [`${e.boot} ${e.step.step}`] : []);
  assertEquals(steps.slice(0, 4), ["1 connected", "1 probed", "1 ready", "1 booting"]);
  assertEquals(steps.at(-1), "1 online");
  assert(
    events.some((e) => e.type === "log" && e.card === "mic0" && e.text.includes("found card")),
  );
  end();
  const before = events.length;
  await bench.controlled.reset();
  assertEquals(events.length, before);
});

Deno.test("boots() has the steps of each boot with their times, its POST codes and its end", async () => {
  await using bench = new HostBench({ restart: "never" });
  const card = await bootedCard(bench);
  const signal = AbortSignal.timeout(10_000);
  await bench.controlled.waitFor(["online"], signal);
  card.machine.events!.stopped("crashed", "Kernel panic");
  await bench.controlled.waitFor(["ready"], signal);
  await bench.controlled.boot();
  await bench.controlled.waitFor(["online"], signal);
  await bench.controlled.reset();
  await bench.controlled.waitFor(["ready"], signal);
  const [first, second] = bench.controlled.boots();
  assertEquals(first!.steps.map(({ step }) => step), [
    "connected",
    "probed",
    "ready",
    "booting",
    "kernel",
    "bootstrap",
    "verified",
    "plugged",
    "os",
    "online",
    "stopped",
    "reset",
    "ready",
  ]);
  assertEquals([first!.number, first!.os, first!.reason, first!.asked], [
    1,
    IMAGES.kernel.name,
    "crashed",
    false,
  ]);
  assertEquals(first!.postCodes.map(({ code }) => code).slice(0, 4), ["13", "15", "17", "FF"]);
  const times = first!.steps.map(({ time }) => time);
  assertEquals(times.toSorted((a, b) => a - b), times);
  assert(first!.begun <= first!.online! && first!.online! <= first!.ended!);
  assertEquals([second!.number, second!.reason, second!.asked, second!.detail], [
    2,
    "nop",
    true,
    "reset",
  ]);
  const { bootCount, crashCount } = bench.controlled.status();
  assertEquals([bootCount, crashCount], [2, 1]);
});

Deno.test("exec() of a card whose OS stops fails, and says so", async () => {
  const exec = new ExecChannel();
  await using console = new ConsoleDevice(exec.ports);
  await using device = disk();
  await using bench = new HostBench({ devices: [device, console], exec });
  const card = await bootedCard(bench);
  setUpDriver(card.machine, 0x200);
  await bench.controlled.waitFor(["online"], AbortSignal.timeout(10_000));
  assertMatch(bench.controlled.why().sentence, /console0 has no driver yet/);
  const result = bench.controlled.exec("true", { stdout() {}, stderr() {} });
  card.machine.events!.stopped("poweroff", "");
  await assertRejects(
    () => result,
    Error,
    "Cannot run command: the card OS of mic0 has stopped (poweroff)",
  );
});
