// The real host driver, link, endpoint, bootstrap and card driver; the machine is the test's own.
import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { runCard } from "../../card/card.ts";
import type { CardIdentity } from "../../card/endpoint/function.ts";
import { BootError } from "../../host/driver/boot_error.ts";
import { Condition } from "../../host/driver/condition.ts";
import { Host, type HostEvent, type HostOptions, runHost } from "../../host/host.ts";
import { encodeDiagImage, LinkError, ProtocolError, type Transport } from "../../protocol/mod.ts";
import { FakeDevice } from "../support/fake_device.ts";
import { FakeMachine } from "../support/fake_machine.ts";
import { MemoryListener } from "../support/memory_listener.ts";
import { RingDriver } from "../support/ring_driver.ts";

const MIB = 2 ** 20;
const IMAGES = { kernel: { name: "diag", bytes: encodeDiagImage() }, cmdline: "quiet" };

/** One turn of the event loop: for what the machine of a test cannot tell. */
const turn = () => new Promise((done) => setTimeout(done, 0));

/** A host in memory, and cards that dial it. */
class Bench implements AsyncDisposable {
  readonly listener = new MemoryListener();
  readonly events: HostEvent[] = [];
  readonly host: Host;
  readonly #changed = new Condition();
  readonly #cards = new AsyncDisposableStack();

  constructor(options: Partial<HostOptions> = {}) {
    this.host = new Host({
      listener: this.listener,
      devices: [],
      images: IMAGES,
      ...options,
      onEvent: (event) => {
        this.events.push(event);
        this.#changed.notify();
      },
    });
  }

  /** The first event of which `pick` makes something, from number `from` on. */
  sees<T>(pick: (event: HostEvent) => T | undefined, from = 0): Promise<T> {
    return this.#changed.until(() => {
      for (const event of this.events.slice(from)) {
        const found = pick(event);
        if (found !== undefined) return found;
      }
    });
  }

  seesState(state: string, from = 0): Promise<true> {
    return this.sees(
      (event) =>
        event.type === "card" && event.event.type === "state" && event.event.state === state ||
        undefined,
      from,
    ) as Promise<true>;
  }

  /** Runs a card process. */
  startCard(options: { identity?: number; model?: CardIdentity } = {}): TestCard {
    const card = new TestCard(this.listener, options.identity ?? 1, options.model);
    this.#cards.use(card);
    return card;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cards.disposeAsync();
    await this.host[Symbol.asyncDispose]();
  }
}

class TestCard implements AsyncDisposable {
  readonly machines: FakeMachine[] = [];
  /** What its machines refuse to boot with. */
  refusal: Error | undefined;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #transport: Transport | undefined;
  #killed = false;

  constructor(listener: MemoryListener, identity: number, model?: CardIdentity) {
    this.#done = runCard({
      dial: async () => {
        if (this.#killed) throw new LinkError("Cannot dial: killed");
        return this.#transport = await listener.dial();
      },
      machine: ({ memoryBytes }) => {
        const machine = new FakeMachine(memoryBytes);
        machine.refusal = this.refusal;
        this.machines.push(machine);
        return Promise.resolve(machine);
      },
      memoryBytes: 4 * MIB,
      identity: new Uint8Array(16).fill(identity),
      ...(model && { model }),
      signal: this.#stop.signal,
    });
  }

  get machine(): FakeMachine {
    return this.machines.at(-1)!;
  }

  /** It will not dial again; its connection stays as it is. */
  freeze(): void {
    this.#killed = true;
  }

  /** As kill -9 does it: no goodbye. */
  kill(): void {
    this.freeze();
    this.#transport?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }
}

Deno.test("Host boots the card that comes, and leaves it ready after a shutdown", async () => {
  await using bench = new Bench();
  const card = bench.startCard();
  const driver = await bench.host.waitForCard();
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
  await using bench = new Bench();
  const card = bench.startCard();
  await bench.seesState("online");
  const from = bench.events.length;
  card.machine.events!.stopped("restart", "");
  await bench.seesState("online", from);
  assertEquals(card.machines.length, 2);
  card.machine.events!.stopped("halted", "");
  assertEquals(await bench.sees((e) => e.type === "stopped" ? e.reason : undefined), "halted");
  assertEquals(bench.host.card!.state, "ready");
});

Deno.test("Host does not boot a card OS again that was asked to stop, whatever its reason", async () => {
  await using bench = new Bench();
  const { machine } = await bootedCard(bench);
  machine.requestShutdown = () => machine.events!.stopped("restart", "");
  assertEquals(await bench.host.card!.shutdown(), "restart");
  assertEquals(await bench.sees((e) => e.type === "stopped" ? e.reason : undefined), "restart");
  assertEquals(bench.host.card!.state, "ready");
});

/** Common configuration of a virtio-pci function, by hand (virtio 1.3 §4.1.4.3). */
function setUpDriver(machine: FakeMachine): RingDriver {
  const device = machine.functions[0]!;
  const status = (value: number) => device.write(20, 1, value);
  status(1);
  status(3);
  for (const [word, bits] of [[0, 1], [1, 1]] as const) {
    device.write(8, 4, word);
    device.write(12, 4, bits);
  }
  status(11);
  assertEquals(device.read(20, 1), 11);
  device.write(22, 2, 0);
  for (const [register, at] of [[32, 0x1_0000], [40, 0x1_1000], [48, 0x1_2000]] as const) {
    device.write(register, 4, at);
    device.write(register + 4, 4, 0);
  }
  device.write(28, 2, 1);
  status(15);
  const ring = {
    size: device.read(24, 2),
    descriptorTable: 0x1_0000,
    availableRing: 0x1_1000,
    usedRing: 0x1_2000,
  };
  return new RingDriver(machine.memory.bytes(), ring);
}

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
  await using bench = new Bench({ devices: [device] });
  const card = bench.startCard();
  await bench.sees((e) =>
    e.type === "card" && e.event.type === "post_code" && e.event.text === "FF" || undefined
  );
  const { machine } = card;
  const pci = machine.functions[0]!;
  for (let round = 1; round <= 2; round++) {
    const driver = setUpDriver(machine);
    await bench.host.card!.waitFor("online");
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
  assertEquals(bench.host.card!.faults, {});
});

Deno.test("Host shows a driver that breaks the rules DEVICE_NEEDS_RESET, and counts the fault", async () => {
  const device = new FakeDevice();
  echo(device);
  await using bench = new Bench({ devices: [device] });
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
  assertEquals(bench.host.card!.faults, { "chain-address": 1 });
  assertEquals(bench.host.card!.state, "online");
});

async function bootedCard(bench: Bench): Promise<TestCard> {
  const card = bench.startCard();
  await bench.sees((e) =>
    e.type === "card" && e.event.type === "post_code" && e.event.text === "FF" || undefined
  );
  return card;
}

Deno.test("Host tells why a card refused to boot, and keeps the card", async () => {
  await using bench = new Bench();
  const card = bench.startCard();
  card.refusal = new Error("no CPU today");
  const error = await bench.sees((e) => e.type === "failed" ? e.error : undefined);
  assertInstanceOf(error, BootError);
  assertEquals(error.postCode, "dE");
  assertEquals(
    error.message,
    "Cannot boot: the card refused with POST code dE: Cannot boot: Error: no CPU today",
  );
  const driver = bench.host.card!;
  assertEquals(driver.state, "ready");
  card.machine.refusal = undefined;
  await driver.boot(IMAGES);
  assertEquals(driver.state, "online");
});

Deno.test("Host refuses a second card while the first is there, and serves it after", async () => {
  await using bench = new Bench();
  const first = bench.startCard({ identity: 1 });
  await bench.seesState("online");
  const from = bench.events.length;
  bench.startCard({ identity: 2 });
  const refused = await bench.sees((e) => e.type === "refused" ? e : undefined, from);
  assertEquals([refused.reason, refused.text], [
    "busy",
    "Cannot serve card: another one is connected",
  ]);
  await first[Symbol.asyncDispose]();
  await bench.seesState("online", from);
  assertEquals(
    bench.events.flatMap((e) => e.type === "connected" ? [e.identity.slice(0, 2)] : []),
    ["01", "02"],
  );
});

Deno.test("Host releases a card that was killed, and serves the next one with the same devices", async () => {
  const device = new FakeDevice();
  await using bench = new Bench({ devices: [device] });
  const first = await bootedCard(bench);
  setUpDriver(first.machine);
  const driver = await bench.host.waitForCard();
  await driver.waitFor("online");
  const waiting = assertRejects(() => driver.waitFor("ready"), LinkError, "it is gone");
  const stopped = Promise.withResolvers<void>();
  device.stopped = stopped.promise;
  const stopping = new Promise<void>((resolve) => device.onStop = resolve);
  const from = bench.events.length;
  first.kill();
  await bench.sees((e) => e.type === "link" && e.status.type === "lost" || undefined, from);
  // The session could be resumed, so nothing has happened yet; a new process makes an end of it.
  assertEquals(driver.state, "online");
  const second = bench.startCard({ identity: 2 });
  await waiting;
  assertEquals([driver.state, driver.shutdownReason], ["shutting_down", "crashed"]);
  const next = await bench.host.waitForCard();
  await stopping;
  // The device is still busy with what the first card wanted.
  await bench.sees(
    (e) => e.type === "card" && e.event.type === "post_code" && e.event.text === "12" || undefined,
    from,
  );
  for (let i = 0; i < 20; i++) await turn();
  assertEquals(device.calls, ["start", "stop"]);
  assertEquals(next.info, undefined);
  stopped.resolve();
  await bench.sees(
    (e) => e.type === "card" && e.event.type === "post_code" && e.event.text === "FF" || undefined,
    from,
  );
  setUpDriver(second.machine);
  await next.waitFor("online");
  assertEquals(device.calls, ["start", "stop", "stopped", "start"]);
});

Deno.test("Host serves a card again that came back as a new process before its old link was known dead", async () => {
  await using bench = new Bench();
  const old = bench.startCard({ identity: 7 });
  await bench.seesState("online");
  const from = bench.events.length;
  old.freeze();
  bench.startCard({ identity: 7 });
  await bench.seesState("online", from);
  assertEquals(bench.events.filter((e) => e.type === "refused"), []);
});

Deno.test("Host says goodbye to a peer that is no card", async () => {
  await using bench = new Bench();
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
    () => new Host({ listener: new MemoryListener(), devices }),
    RangeError,
    "Cannot lend a card 32 devices: it has 31 slots",
  );
});

Deno.test("Host without images leaves the card ready", async () => {
  await using bench = new Bench({ images: undefined });
  bench.startCard();
  const driver = await bench.host.waitForCard();
  await driver.waitFor("ready");
  assertEquals(driver.info?.platform, "diag");
});

Deno.test("runHost() runs until its signal aborts, then leaves nothing behind", async () => {
  const listener = new MemoryListener();
  const stop = new AbortController();
  const running = runHost({ listener, devices: [], signal: stop.signal });
  stop.abort();
  await running;
  await assertRejects(() => listener.dial(), LinkError);
});
