import { assertEquals, assertRejects } from "@std/assert";
import { BootError } from "../../host/driver/boot_error.ts";
import { HostDriver } from "../../host/driver/host_driver.ts";
import { RootPort } from "../../host/driver/root_port.ts";
import { encodeDiagImage, ProtocolError } from "../../protocol/mod.ts";
import { type FakeClock, fakeClock } from "../support/fake_clock.ts";
import { FakeCard } from "../support/fake_card.ts";

const IMAGES = { kernel: { name: "diag", bytes: encodeDiagImage() }, cmdline: "" };

function makeDriver() {
  const rootPort = new RootPort();
  const card = new FakeCard(rootPort);
  const link = { up: true };
  const driver = HostDriver.attach({
    requester: card.requester,
    rootPort,
    devices: [],
    reachable: () => link.up,
  });
  return { card, link, driver };
}

/** Ticks until just before `ms`, during which `waiting` must not end. */
async function nothingUntil(ms: number, clock: FakeClock, waiting: Promise<unknown>) {
  let ended = false;
  waiting.then(() => ended = true, () => ended = true);
  await clock.tick(ms - 1);
  assertEquals(ended, false);
}

Deno.test("HostDriver.probe() gives a card up that answers nothing for 30 s", async () => {
  using clock = fakeClock();
  const { card, driver } = makeDriver();
  card.mute = true;
  const probed = assertRejects(
    () => driver.probe(),
    ProtocolError,
    "Cannot use card: it did not answer the probe for 30 s",
  );
  await nothingUntil(30_000, clock, probed);
  await clock.tick(1);
  await probed;
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.probe() waits for a card for as long as its connection is gone", async () => {
  using clock = fakeClock();
  const { card, link, driver } = makeDriver();
  card.mute = true;
  link.up = false;
  const probed = driver.probe();
  await nothingUntil(1_000_000, clock, probed);
  link.up = true;
  const given = assertRejects(() => probed, ProtocolError, "it did not answer");
  await clock.tick(30_000);
  await given;
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.boot() gives a card up that does not say where it takes a download", async () => {
  using clock = fakeClock();
  const { card, driver } = makeDriver();
  await driver.probe();
  card.mute = true;
  const booted = assertRejects(
    () => driver.boot(IMAGES),
    ProtocolError,
    "Cannot use card: it did not say where it takes a download for 30 s",
  );
  await nothingUntil(30_000, clock, booted);
  await clock.tick(1);
  await booted;
  assertEquals(driver.state, "ready");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.boot() gives a card up that takes nothing of the download for 30 s", async () => {
  using clock = fakeClock();
  const { card, driver } = makeDriver();
  await driver.probe();
  card.writable = false;
  const booted = assertRejects(
    () => driver.boot(IMAGES),
    ProtocolError,
    "Cannot use card: it did not take more of the download for 30 s",
  );
  await nothingUntil(30_000, clock, booted);
  await clock.tick(1);
  await booted;
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.reset() waits for a card for as long as its connection is gone", async () => {
  using clock = fakeClock();
  const { card, link, driver } = makeDriver();
  await driver.probe();
  card.onBoot = () => card.report("online");
  await driver.boot(IMAGES);
  card.onReset = () => {};
  link.up = false;
  const reset = assertRejects(() => driver.reset(), BootError, "not ready after 45 s");
  await nothingUntil(1_000_000, clock, reset);
  link.up = true;
  await clock.tick(45_000);
  await reset;
  await driver[Symbol.asyncDispose]();
});
