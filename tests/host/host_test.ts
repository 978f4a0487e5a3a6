// The real host driver, link, endpoint, bootstrap and card driver; the machine is the test's own.
import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { BootError } from "../../host/driver/boot_error.ts";
import { Host, runHost } from "../../host/host.ts";
import { encodeDiagImage, LinkError, ProtocolError } from "../../protocol/mod.ts";
import { FakeDevice } from "../support/fake_device.ts";
import { bootedCard, HostBench, IMAGES, MIB, setUpDriver } from "../support/host_bench.ts";
import { MemoryListener } from "../support/memory_listener.ts";

/** One turn of the event loop: for what the machine of a test cannot tell. */
const turn = () => new Promise((done) => setTimeout(done, 0));

Deno.test("Host boots the card that comes, and leaves it ready after a shutdown", async () => {
  await using bench = new HostBench();
  const card = bench.startCard();
  const driver = await bench.card.waitForDriver();
  await driver.waitFor("online");
  const image = card.machine.image!;
  assertEquals(image.cmdline, "quiet");
  assertEquals(
    card.machine.memory.bytes().slice(image.kernel.address, image.kernel.address + 8),
    encodeDiagImage(),
  );
  assertEquals(driver.postCodes.slice(-4).map((p) => p.text), ["13", "15", "17", "FF"]);
  const { machine } = card;
  machine.requestShutdown = () => machine.events!.stopped("poweroff", "");
  assertEquals(await driver.shutdown(), "poweroff");
  assertEquals(await bench.sees((e) => e.type === "stopped" ? e.reason : undefined), "poweroff");
  assertEquals(driver.state, "ready");
  assertEquals(card.machines.length, 2);
});

Deno.test("Host boots a card OS again that wants a restart", async () => {
  await using bench = new HostBench();
  const card = bench.startCard();
  await bench.seesState("online");
  const from = bench.events.length;
  card.machine.events!.stopped("restart", "");
  await bench.seesState("online", from);
  assertEquals(card.machines.length, 2);
  card.machine.events!.stopped("halted", "");
  assertEquals(await bench.sees((e) => e.type === "stopped" ? e.reason : undefined), "halted");
  assertEquals(bench.card.driver!.state, "ready");
});

Deno.test("Host does not boot a card OS again that was asked to stop, whatever its reason", async () => {
  await using bench = new HostBench();
  const { machine } = await bootedCard(bench);
  machine.requestShutdown = () => machine.events!.stopped("restart", "");
  assertEquals(await bench.card.driver!.shutdown(), "restart");
  assertEquals(await bench.sees((e) => e.type === "stopped" ? e.reason : undefined), "restart");
  assertEquals(bench.card.driver!.state, "ready");
});

/** Answers each chain with its readable bytes, each plus one. */
function echo(device: FakeDevice): void {
  device.onNotified = (index) => {
    const queue = device.session!.queues[index]!;
    for (let chain = queue.pop(); chain; chain = queue.pop()) {
      queue.write(chain, 0, chain.pushed.map((byte) => byte + 1));
      queue.push(chain, chain.pushed.length);
    }
    queue.publish();
  };
}

Deno.test("Host serves a driver on the card from DRIVER_OK to reset, and again", async () => {
  const device = new FakeDevice();
  echo(device);
  await using bench = new HostBench({ devices: [device] });
  const card = bench.startCard();
  await bench.sees((e) =>
    e.type === "card" && e.event.type === "post_code" && e.event.text === "FF" || undefined
  );
  const { machine } = card;
  const pci = machine.functions[0]!;
  for (let round = 1; round <= 2; round++) {
    const driver = setUpDriver(machine);
    await bench.card.driver!.waitFor("online");
    const memory = machine.memory.bytes();
    memory.set([10, 20, 30], 0x2_0000);
    driver.add([{ address: 0x2_0000, length: 3 }], [{ address: 0x2_1000, length: 8 }]);
    pci.write(0x40, 2, 0);
    while (!machine.lines[0]) await turn();
    assertEquals(memory.slice(0x2_1000, 0x2_1004), Uint8Array.of(11, 21, 31, 0));
    // Used ring: index 1, head 0, three bytes.
    assertEquals(memory.slice(0x1_2002, 0x1_200c), Uint8Array.of(1, 0, 0, 0, 0, 0, 3, 0, 0, 0));
    assertEquals(pci.read(0x38, 1), 1);
    pci.write(20, 1, 0);
    while (pci.read(20, 1) !== 0) await turn();
    assertEquals(device.calls.filter((call) => call === "stopped").length, round);
    memory.fill(0, 0x1_0000, 0x1_3000);
  }
  assertEquals(bench.card.driver!.faults, {});
});

Deno.test("Host shows a driver that breaks the rules DEVICE_NEEDS_RESET, and counts the fault", async () => {
  const device = new FakeDevice();
  echo(device);
  await using bench = new HostBench({ devices: [device] });
  const { machine } = await bootedCard(bench);
  const pci = machine.functions[0]!;
  const driver = setUpDriver(machine);
  driver.add([{ address: 5 * MIB, length: 3 }], []);
  pci.write(0x40, 2, 0);
  const fault = await bench.sees((e) =>
    e.type === "card" && e.event.type === "fault" ? e.event.fault : undefined
  );
  assertEquals(fault, "chain-address");
  assertEquals(pci.read(20, 1), 15 | 64);
  assertEquals(bench.card.driver!.faults, { "chain-address": 1 });
  assertEquals(bench.card.driver!.state, "online");
});

Deno.test("Host tells why a card refused to boot, and keeps the card", async () => {
  await using bench = new HostBench();
  const card = bench.startCard();
  card.refusal = new Error("no CPU today");
  const error = await bench.sees((e) => e.type === "failed" ? e.error : undefined);
  assertInstanceOf(error, BootError);
  assertEquals(error.postCode, "dE");
  assertEquals(
    error.message,
    "Cannot boot: the card refused with POST code dE: Cannot boot: Error: no CPU today",
  );
  const driver = bench.card.driver!;
  assertEquals(driver.state, "ready");
  card.machine.refusal = undefined;
  await driver.boot(IMAGES);
  assertEquals(driver.state, "online");
});

Deno.test("Host says goodbye to a peer that is no card", async () => {
  await using bench = new HostBench();
  bench.startCard({ model: { device: 0x1234, revision: 0 } });
  const error = await bench.sees((e) => e.type === "failed" ? e.error : undefined);
  assertInstanceOf(error, ProtocolError);
  assertEquals(
    error.message,
    "Cannot use card: found PCI device 8086:1234, wanted 8086:2250 to 8086:225e",
  );
  const goodbye = await bench.sees((e) =>
    e.type === "link" && e.status.type === "goodbye" ? e.status.reason : undefined
  );
  assertEquals(goodbye, "malformed");
});

Deno.test("Host refuses more devices than a card has slots before any card comes", () => {
  const devices = Array.from({ length: 32 }, () => new FakeDevice());
  assertThrows(
    () => new Host({ listener: new MemoryListener(), cards: [{ name: "mic0", devices }] }),
    RangeError,
    "Cannot lend mic0 32 devices: a card has 31 slots",
  );
});

Deno.test("Host without images leaves the card ready", async () => {
  await using bench = new HostBench({ images: undefined });
  bench.startCard();
  const driver = await bench.card.waitForDriver();
  await driver.waitFor("ready");
  assertEquals(driver.info?.platform, "diag");
});

Deno.test("runHost() runs until its signal aborts, then leaves nothing behind", async () => {
  const listener = new MemoryListener();
  const stop = new AbortController();
  const running = runHost({ listener, cards: [], signal: stop.signal });
  stop.abort();
  await running;
  await assertRejects(() => listener.dial(), LinkError);
});
