import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { AttachedDevice } from "../../host/driver/attached_device.ts";
import { BootError } from "../../host/driver/boot_error.ts";
import { WaitTimeout } from "../../host/driver/condition.ts";
import type { CardEvent } from "../../host/driver/events.ts";
import { HostDriver } from "../../host/driver/host_driver.ts";
import { RootPort } from "../../host/driver/root_port.ts";
import {
  BackendError,
  encodeDiagImage,
  le16,
  le32,
  LinkError,
  page,
  ProtocolError,
  REGISTERS,
  viewOf,
} from "../../protocol/mod.ts";
import { FakeCard } from "../support/fake_card.ts";
import { FakeDevice } from "../support/fake_device.ts";

const IMAGES = { kernel: { name: "diag", bytes: encodeDiagImage() }, cmdline: "quiet" };
const RESET_TIMEOUT = 60_000;

/** A driver on a fake card; what it reported. */
function makeDriver(
  options: { resetTimeout?: number; devices?: number; onProgress?: () => void } = {},
) {
  const root = new RootPort();
  const card = new FakeCard(root);
  const devices = Array.from(
    { length: options.devices ?? 1 },
    (_, n) => new FakeDevice({ name: `fake ${n}` }),
  );
  const events: CardEvent[] = [];
  const driver = HostDriver.attach({
    requester: card.requester,
    rootPort: root,
    devices: devices.map((device) => new AttachedDevice(device)),
    onEvent: (event) => {
      events.push(event);
      if (event.type === "progress") options.onProgress?.();
    },
    resetTimeout: options.resetTimeout ?? RESET_TIMEOUT,
  });
  /** States as they came. */
  const states = () => events.flatMap((event) => event.type === "state" ? [event.state] : []);
  return { root, card, devices, driver, events, states };
}

/** The same, probed, with a card OS that comes online when it is booted. */
async function makeReady(options: Parameters<typeof makeDriver>[0] = {}) {
  const made = makeDriver(options);
  made.card.onBoot = () => made.card.report("online");
  await made.driver.probe();
  return made;
}

async function makeOnline(options: Parameters<typeof makeDriver>[0] = {}) {
  const made = await makeReady(options);
  await made.driver.boot(IMAGES);
  return made;
}

Deno.test("HostDriver.probe() finds a ready card and enables its interrupts", async () => {
  const { driver, card, events, states } = makeDriver();
  assertEquals(driver.state, "resetting");
  const info = await driver.probe();
  assertEquals([info.platform, info.memoryMib, driver.state], ["diag", 4, "ready"]);
  assertEquals(driver.info, info);
  assertEquals(le32.get(card.registerView, REGISTERS.interrupt_enable.at), 0xffff_ffff);
  assertEquals(events[0], { type: "found", info });
  assertEquals(states(), ["ready"]);
  assertEquals(le32.get(card.registerView, REGISTERS.reset.at), 0);
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.probe() resets a card that is not ready, and waits for POST code 12", async () => {
  const { driver, card } = makeDriver();
  le32.set(card.registerView, REGISTERS.download_info.at, 0);
  const reset = Promise.withResolvers<void>();
  card.onReset = () => reset.resolve();
  const probing = driver.probe();
  await reset.promise;
  card.post("05");
  await card.settle();
  assertEquals(driver.state, "resetting");
  card.becomeReady();
  await probing;
  assertEquals(driver.state, "ready");
  assertEquals(driver.postCodes.map((post) => post.text), ["05", "12"]);
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.probe() fails at once, with the card's sentence, when the card cannot reset", async () => {
  const { driver, card } = makeDriver();
  le32.set(card.registerView, REGISTERS.download_info.at, 0);
  card.onReset = () => {
    card.post("EE");
    card.report("refused", "nop", "Cannot make a machine: out of memory");
  };
  const error = await assertRejects(() => driver.probe(), BootError);
  assertEquals(
    error.message,
    "Cannot reset: the card refused with POST code EE: Cannot make a machine: out of memory",
  );
  assertEquals(driver.state, "reset_failed");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.probe() refuses a card page that leaves the aperture", async () => {
  const { driver, card } = makeDriver();
  le32.set(card.registerView, REGISTERS.card_page_offset.at, 0x7f_0000);
  await assertRejects(() => driver.probe(), ProtocolError, "Cannot use card page");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.attach() refuses more devices than there are slots", () => {
  assertThrows(() => makeDriver({ devices: 32 }), RangeError, "32 devices: a card has 31 slots");
});

Deno.test("HostDriver.boot() publishes everything before the boot signal, and resolves online", async () => {
  const { driver, card, states, devices } = await makeReady({ devices: 2 });
  card.writes.length = 0;
  // An earlier boot had more devices.
  card.page.fill(0xff, 4096);
  card.onBoot = () => {
    card.post("13");
    const view = viewOf(card.page);
    const header = page.CARD_HEADER.read(view);
    assertEquals(header.magic, page.PAGE_MAGIC);
    assertEquals(header.kernel_address, 0x10_0000);
    assertEquals(header.kernel_length, 8);
    assertEquals(header.cmdline_length, 5);
    assertEquals(header.initrd_length, 0);
    assertEquals([1, 2, 3].map((n) => le16.get(view, n * 4096)), [2, 2, 0]);
    assertEquals(card.hostPage >= 0x80_0000_0000, true);
    card.report("booting");
    card.report("online");
  };
  await driver.boot(IMAGES);
  assertEquals(driver.state, "online");
  assertEquals(states(), ["ready", "booting", "online"]);
  const signal = card.writes.at(-1)!;
  assertEquals(signal.bytes, Uint8Array.of(0xe5, 0x20, 0, 0));
  assertEquals(devices.map((d) => d.calls), [[], []]);
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.boot() resolves though the card OS is asked to stop in the same turn", async () => {
  const { driver, card } = await makeReady();
  card.onDoorbell = () => card.report("stopped", "halted");
  const booting = driver.boot(IMAGES);
  await driver.waitFor("online");
  assertEquals(await driver.shutdown(), "halted");
  await booting;
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.boot() reports progress of what it downloads", async () => {
  const { driver, events } = await makeReady();
  await driver.boot(IMAGES);
  assertEquals(events.filter((event) => event.type === "progress"), [
    { type: "progress", part: "kernel", done: 8, total: 8 },
  ]);
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.boot() of an image that cannot be read leaves the card ready", async () => {
  const { driver, states, root } = await makeReady();
  await assertRejects(
    () => driver.boot({ kernel: "/nonexistent/k" }),
    BackendError,
    "no such file",
  );
  assertEquals(states(), ["ready", "booting", "ready"]);
  assertEquals(root.memory.regions, 1);
  await driver.boot(IMAGES);
  assertEquals(driver.state, "online");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.boot() that the card refuses says why, and leaves it ready", async () => {
  const { driver, card, states } = await makeReady();
  card.onBoot = () => {
    card.post("4E");
    card.report("refused", "nop", "Cannot trust kernel: it is forged");
  };
  const error = await assertRejects(() => driver.boot(IMAGES), BootError);
  assertEquals(
    error.message,
    "Cannot boot: the card refused with POST code 4E: Cannot trust kernel: it is forged",
  );
  assertEquals(error.postCode, "4E");
  assertEquals(states(), ["ready", "booting", "shutting_down", "resetting", "ready"]);
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.boot() of a card OS that stops on the way says so", async () => {
  const { driver, card } = await makeReady();
  card.onBoot = () => {
    card.post("FF");
    card.report("stopped", "crashed");
  };
  await assertRejects(
    () => driver.boot(IMAGES),
    BootError,
    "Cannot boot: the card OS stopped (crashed) before it came online; last POST code FF",
  );
  assertEquals(driver.state, "ready");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.boot() cancelled while it downloads leaves the card ready and idle", async () => {
  const { driver, card, root } = await makeReady();
  card.writable = false;
  const abort = new AbortController();
  const booting = driver.boot(IMAGES, { signal: abort.signal });
  await card.settle();
  const posted = card.writes.length;
  abort.abort(new Error("enough"));
  await assertRejects(() => booting, Error, "enough");
  assertEquals(driver.state, "ready");
  assertEquals(card.writes.length, posted);
  assertEquals(root.memory.regions, 1);
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.boot() cancelled with the last byte of the download does not start the card", async () => {
  const abort = new AbortController();
  const { driver, card } = await makeReady({
    onProgress: () => abort.abort(new Error("enough")),
  });
  card.onBoot = () => assertEquals("started", "not started");
  await assertRejects(() => driver.boot(IMAGES, { signal: abort.signal }), Error, "enough");
  await card.settle();
  assertEquals(driver.state, "ready");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.boot() believes nothing that the card OS before has left in the host page", async () => {
  const { driver, card } = await makeOnline();
  await driver.reset();
  const interrupted = Promise.withResolvers<void>();
  card.onBoot = () => {
    card.interrupt(0);
    interrupted.resolve();
  };
  const booting = driver.boot(IMAGES);
  await interrupted.promise;
  assertEquals(driver.state, "booting");
  card.report("online");
  await booting;
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.boot() cancelled after the boot signal leaves the card booting", async () => {
  const { driver, card } = await makeReady();
  const started = Promise.withResolvers<void>();
  card.onBoot = () => started.resolve();
  const abort = new AbortController();
  const booting = driver.boot(IMAGES, { signal: abort.signal });
  await started.promise;
  abort.abort(new Error("enough"));
  await assertRejects(() => booting, Error, "enough");
  assertEquals(driver.state, "booting");
  card.report("online");
  assertEquals(driver.state, "online");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.reset() ends a download that is under way", async () => {
  const { driver, card } = await makeReady();
  card.writable = false;
  const booting = assertRejects(() => driver.boot(IMAGES), BootError, "the card was reset");
  await card.settle();
  await driver.reset();
  await booting;
  assertEquals(driver.state, "ready");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.shutdown() asks the card OS, resets and resolves with its reason", async () => {
  const { driver, card, states, devices, root } = await makeOnline();
  card.onDoorbell = (number) => {
    assertEquals(number, 0);
    assertEquals(page.CARD_HEADER.read(viewOf(card.page)).shutdown_request, 1);
    card.report("stopped", "poweroff");
  };
  assertEquals(await driver.shutdown(), "poweroff");
  assertEquals(driver.shutdownReason, "poweroff");
  assertEquals(states().slice(3), ["shutting_down", "shutting_down", "resetting", "ready"]);
  // The host page is all that is still mapped.
  assertEquals(root.memory.regions, 1);
  assertEquals(devices[0]!.calls, []);
  await driver.boot(IMAGES);
  assertEquals(driver.shutdownReason, "nop");
  await driver[Symbol.asyncDispose]();
  assertEquals(root.memory.regions, 0);
});

Deno.test("HostDriver.shutdown() with a timeout resets a card OS that does not stop", async () => {
  const { driver } = await makeOnline();
  assertEquals(await driver.shutdown({ timeout: 1 }), "nop");
  assertEquals(driver.state, "ready");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver takes a card OS that stops by itself: devices idle, reason kept, once", async () => {
  const { driver, card, devices, events } = await makeOnline();
  startDevice(card);
  assertEquals(devices[0]!.calls, ["start"]);
  card.report("stopped", "restart");
  card.report("stopped", "halted");
  await card.settle();
  assertEquals(driver.state, "shutting_down");
  assertEquals(driver.shutdownReason, "restart");
  assertEquals(devices[0]!.calls, ["start", "stop", "stopped"]);
  assertEquals(
    events.filter((event) => event.type === "device_started"),
    [{ type: "device_started", slot: 0, device: "fake 0" }],
  );
  await driver.reset();
  assertEquals(driver.state, "ready");
  await driver[Symbol.asyncDispose]();
});

/** DRIVER_OK in slot 0, with no queue enabled. */
function startDevice(card: FakeCard) {
  const row = new Uint8Array(page.HOST_SLOT.size);
  page.HOST_SLOT.write(viewOf(row), {
    status: 15,
    reset_request: 0,
    features_accepted: 0x1_0000_0000n,
    fault: 0,
    fault_queue: 0,
    adopted: 0,
    plug: 0,
  });
  card.write(card.hostPage + 4096, row);
  card.interrupt(1);
}

Deno.test("HostDriver counts the faults of devices by code", async () => {
  const { driver, card, devices, events } = await makeOnline();
  startDevice(card);
  devices[0]!.session!.fail(new RangeError("a bug"));
  assertEquals(driver.faults, { internal: 1 });
  assertEquals(events.at(-1)!.type, "fault");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver passes writes to device configuration space on to their slot", async () => {
  const { driver, root, devices } = await makeOnline();
  root.message(5, 0 | (4 << 8) | (8 << 16), 0x41);
  root.message(5, 9 | (4 << 8), 0x41);
  assertEquals(devices[0]!.calls, ["config 8 4 65"]);
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.reset() stops all devices first, and waits for the card", async () => {
  const { driver, card, devices } = await makeOnline();
  startDevice(card);
  const gate = Promise.withResolvers<void>();
  devices[0]!.stopped = gate.promise;
  let wasReset = false;
  card.onReset = () => wasReset = true;
  const resetting = driver.reset();
  const joined = driver.reset();
  await card.settle();
  assertEquals([driver.state, wasReset], ["resetting", false]);
  gate.resolve();
  await card.settle();
  assertEquals(wasReset, true);
  card.becomeReady();
  await Promise.all([resetting, joined]);
  assertEquals(driver.state, "ready");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.reset() fails when the card does not become ready in time, and can be tried again", async () => {
  const { driver, card } = await makeOnline({ resetTimeout: 1 });
  card.onReset = () => card.post("03");
  const error = await assertRejects(() => driver.reset(), BootError);
  assertEquals(error.message, "Cannot reset card: not ready after 0.001 s, last POST code 03");
  assertEquals(driver.state, "reset_failed");
  card.onReset = () => card.becomeReady();
  await driver.reset();
  assertEquals(driver.state, "ready");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.reset() fails at once when the card refuses", async () => {
  const { driver, card } = await makeOnline();
  card.onReset = () => {
    card.post("EE");
    card.report("refused", "nop", "Cannot make a machine: no memory");
  };
  await assertRejects(
    () => driver.reset(),
    BootError,
    "Cannot reset: the card refused with POST code EE: Cannot make a machine: no memory",
  );
  assertEquals(driver.state, "reset_failed");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver refuses commands where the table has no cell for them", async () => {
  const { driver, card } = makeDriver();
  await assertRejects(() => driver.boot(IMAGES), TypeError, "Cannot boot card: it is not probed");
  await driver.probe();
  await assertRejects(
    () => driver.shutdown(),
    TypeError,
    "Cannot shutdown card: it is ready, wanted online",
  );
  await assertRejects(() => driver.reset(), TypeError, "Cannot reset card: it is ready, wanted");
  card.onBoot = () => card.report("online");
  await driver.boot(IMAGES);
  await assertRejects(() => driver.boot(IMAGES), TypeError, "it is online, wanted ready");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.waitFor() resolves in a state, and ends with its timeout or signal", async () => {
  const { driver, card } = await makeReady();
  const waiting = driver.waitFor(["online", "reset_failed"]);
  await driver.boot(IMAGES);
  assertEquals(await waiting, "online");
  await assertRejects(
    () => driver.waitFor("ready", { timeout: 1 }),
    WaitTimeout,
    "card is online, wanted ready",
  );
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(() => driver.waitFor("ready", { signal }), Error, "enough");
  card.report("ready");
  assertEquals(driver.state, "online");
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.gone() ends what waits with LinkError, and leaves nothing behind", async () => {
  const { driver, card, devices, root, events } = await makeOnline();
  startDevice(card);
  const waiting = assertRejects(() => driver.waitFor("ready"), LinkError, "it is gone");
  const cause = new Error("connection lost");
  driver.gone(cause);
  await waiting;
  assertEquals(driver.state, "shutting_down");
  assertEquals(driver.shutdownReason, "crashed");
  assertEquals(events.at(-1), { type: "state", state: "shutting_down", reason: "crashed" });
  const error = await assertRejects(() => driver.boot(IMAGES));
  assertInstanceOf(error, LinkError);
  assertEquals(error.cause, cause);
  await driver[Symbol.asyncDispose]();
  assertEquals(devices[0]!.calls, ["start", "stop", "stopped"]);
  assertEquals(root.memory.regions, 0);
});

Deno.test("HostDriver.gone() ends a reset and a boot that are under way", async () => {
  const first = await makeOnline();
  first.card.onReset = () => {};
  const resetting = assertRejects(() => first.driver.reset(), LinkError);
  await first.card.settle();
  first.driver.gone();
  await resetting;
  assertEquals(first.driver.state, "reset_failed");
  await first.driver[Symbol.asyncDispose]();

  const second = await makeReady();
  second.card.onBoot = () => {};
  const booting = assertRejects(() => second.driver.boot(IMAGES), LinkError);
  await second.card.settle();
  second.driver.gone();
  await booting;
  await second.driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver keeps no more than 256 POST codes", async () => {
  const { driver, card } = await makeReady();
  for (let i = 0; i < 300; i++) card.post("A\n");
  assertEquals(driver.postCodes.length, 256);
  assertEquals(driver.postCodes.at(-1)!.text, "A.");
  await driver[Symbol.asyncDispose]();
});
