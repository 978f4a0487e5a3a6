// What becomes of a card OS that crashes or hangs, as the host driver sees it.
import { assertEquals, assertRejects } from "@std/assert";
import { AttachedDevice } from "../../host/driver/attached_device.ts";
import type { CardEvent } from "../../host/driver/events.ts";
import { HostDriver } from "../../host/driver/host_driver.ts";
import { logText } from "../../host/driver/kernel_log.ts";
import { RootPort } from "../../host/driver/root_port.ts";
import { encodeDiagImage, le32, page, REGISTERS } from "../../protocol/mod.ts";
import { FakeCard } from "../support/fake_card.ts";
import { fakeClock } from "../support/fake_clock.ts";
import { FakeDevice } from "../support/fake_device.ts";

const IMAGES = { kernel: { name: "diag", bytes: encodeDiagImage() }, cmdline: "" };
const HEARTBEAT = 16;

/** A card whose OS is online, and what the driver told of it since; with `reset` where the host resets it. */
async function online(options: { reachable?: () => boolean } = {}) {
  const root = new RootPort();
  const card = new FakeCard(root);
  const told: string[] = [];
  card.onBoot = () => card.report("online");
  card.onReset = () => {
    told.push("reset");
    card.becomeReady();
  };
  const driver = HostDriver.attach({
    requester: card.requester,
    rootPort: root,
    devices: [new AttachedDevice(new FakeDevice({ name: "fake" }))],
    hangTimeout: 30_000,
    ...options,
    onEvent: (event) => void told.push(...line(event)),
  });
  await driver.probe();
  await driver.boot(IMAGES);
  told.length = 0;
  return { card, driver, told };
}

function line(event: CardEvent): string[] {
  if (event.type === "ended") return [`${event.reason}: ${event.detail}`];
  if (event.type === "kernel_log") return [`log: ${event.text}`];
  return event.type === "state" ? [event.state] : [];
}

/** Where a card keeps its log: behind the card page. */
function setLog(card: FakeCard, text: string, length = text.length): void {
  const at = card.pageOffset + page.PAGE_SIZE;
  card.aperture.set(new TextEncoder().encode(text), at);
  le32.set(card.registerView, REGISTERS.log_offset.at, at);
  le32.set(card.registerView, REGISTERS.log_length.at, length);
}

Deno.test("HostDriver takes the kernel log of a card OS that crashed, before it resets the card", async () => {
  const { card, driver, told } = await online();
  setLog(card, "Kernel panic\r\n");
  card.report("stopped", "crashed", "The card OS panicked");
  await driver.reset();
  assertEquals(told, [
    "crashed: The card OS panicked",
    "shutting_down",
    "resetting",
    "log: Kernel panic\n",
    "reset",
    "ready",
  ]);
  assertEquals(driver.shutdownReason, "crashed");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver does not ask for the log of a card OS that ended in good order", async () => {
  const { card, driver, told } = await online();
  setLog(card, "reboot: System halted\n");
  card.report("stopped", "poweroff", "as asked");
  await driver.reset();
  assertEquals(told, ["poweroff: as asked", "shutting_down", "resetting", "reset", "ready"]);
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.kernelLog() is empty where the card has none, or one that cannot be", async () => {
  const { card, driver } = await online();
  assertEquals(await driver.kernelLog(), "");
  setLog(card, "line\n");
  assertEquals(await driver.kernelLog(), "line\n");
  setLog(card, "line\n", page.LOG_SIZE + 1);
  assertEquals(await driver.kernelLog(), "");
  setLog(card, "line\n", 5);
  le32.set(card.registerView, REGISTERS.log_offset.at, card.aperture.length - 4);
  assertEquals(await driver.kernelLog(), "");
  await driver[Symbol.asyncDispose]();
  await assertRejects(() => driver.kernelLog());
});

Deno.test("a card OS without a heartbeat for 30 s has crashed, and one with a heartbeat has not", async () => {
  using clock = fakeClock();
  const { card, driver, told } = await online();
  setLog(card, "last words\n");
  for (let beat = 1; beat <= 4; beat++) {
    card.write32(card.hostPage + HEARTBEAT, beat);
    await clock.tick(29_000);
  }
  assertEquals([driver.state, told], ["online", []]);
  await clock.tick(3_000);
  const ended = "crashed: The card OS hangs: it took no interrupt for 30 s";
  assertEquals(told, [ended, "shutting_down", "log: last words\n"]);
  assertEquals(await driver.waitForStop(), { reason: "crashed", asked: false });
  // What it says after that is of no interest.
  card.report("stopped", "poweroff");
  await driver.reset();
  assertEquals([driver.state, driver.shutdownReason], ["ready", "crashed"]);
  await clock.tick(100_000);
  assertEquals(driver.state, "ready");
  await driver[Symbol.asyncDispose]();
});

Deno.test("a card that cannot be reached does not hang", async () => {
  using clock = fakeClock();
  let reachable = true;
  const { driver, told } = await online({ reachable: () => reachable });
  await clock.tick(20_000);
  reachable = false;
  await clock.tick(3_600_000);
  reachable = true;
  await clock.tick(8_000);
  assertEquals(told, []);
  await clock.tick(5_000);
  assertEquals(told.slice(1), ["shutting_down"]);
  await driver[Symbol.asyncDispose]();
});

Deno.test("logText() leaves no terminal anything to obey", () => {
  const log = "\x1b[1;31mred\x1b[0m\r\n\ttab \x1b]0;title\x07 \x9b2J \u{202e}x\0\n";
  const text = logText(new TextEncoder().encode(log));
  assertEquals(text.split("\n")[0], "red");
  // deno-lint-ignore no-control-regex -- that is what must not be there
  assertEquals(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/.test(text), false, JSON.stringify(text));
});
