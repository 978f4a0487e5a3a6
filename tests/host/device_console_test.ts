import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import type { ConsoleBackend, ConsoleEvents } from "../../host/backends/types.ts";
import { ConsoleDevice, type PortOptions } from "../../host/devices/console.ts";
import { DriverError } from "../../protocol/errors.ts";
import { FEATURE } from "../../protocol/virtio/console.ts";
import { type FakeChain, type FakeQueue, FakeSession, FakeSlot } from "../support/fake_queue.ts";

/** A terminal that the test types on and reads from. */
class Terminal implements ConsoleBackend {
  readonly name: string;
  size: { columns: number; rows: number } | undefined;
  events!: ConsoleEvents;
  output = "";
  resumes = 0;
  closed = 0;
  /** True, false, or that it is assumed. */
  readonly openings: (boolean | "assumed")[] = [];
  /** What the next writes wait for, or fail with. */
  gate: Promise<void> | undefined;
  failure: Error | undefined;
  #typed = new Uint8Array(0);

  constructor(name = "tty", size?: { columns: number; rows: number }) {
    this.name = name;
    this.size = size;
  }
  write(bytes: Uint8Array): void | Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.output += new TextDecoder().decode(bytes);
    return this.gate;
  }
  open(events: ConsoleEvents): void {
    this.events = events;
  }
  opened(open: boolean, assumed: boolean): void {
    this.openings.push(assumed ? "assumed" : open);
  }
  resume(): void {
    this.resumes++;
    this.type("");
  }
  type(text: string): void {
    this.#typed = new Uint8Array([...this.#typed, ...new TextEncoder().encode(text)]);
    this.#typed = this.#typed.slice(this.events.input(this.#typed));
  }
  get left(): string {
    return new TextDecoder().decode(this.#typed);
  }
  [Symbol.asyncDispose](): Promise<void> {
    this.closed++;
    return Promise.resolve();
  }
}

class Console implements AsyncDisposable {
  readonly device: ConsoleDevice;
  readonly slot = new FakeSlot();
  readonly errors: unknown[] = [];
  session: FakeSession;
  constructor(ports: readonly PortOptions[], { drop = 0n } = {}) {
    this.device = new ConsoleDevice(ports, { onError: (error) => this.errors.push(error) });
    this.device.attached(this.slot);
    this.session = this.begin(this.device.features & ~drop);
  }
  begin(features: bigint): FakeSession {
    const session = new FakeSession(this.device.queueSizes, features);
    this.device.start(session);
    return session;
  }
  queue(index: number): FakeQueue {
    return this.session.queues[index]!;
  }
  /** Driver's control message. */
  say(...bytes: number[]): void {
    this.queue(3).add({ readable: Uint8Array.from(bytes) });
    this.device.notified(3);
  }
  /** Receive buffers on `queue`. */
  buffers(queue: number, count: number, size = 64): FakeChain[] {
    const chains = Array.from({ length: count }, () => this.queue(queue).add({ writable: size }));
    this.device.notified(queue);
    return chains;
  }
  /** Device's control messages so far. */
  heard(): number[][] {
    return this.queue(2).used.map(({ memory, written }) => [...memory.subarray(0, written)]);
  }
  output(queue: number, text: string, pushed?: number): FakeChain {
    const readable = new TextEncoder().encode(text);
    const chain = this.queue(queue).add({ readable, pushed: pushed ?? readable.length });
    this.device.notified(queue);
    return chain;
  }
  /** What the driver got on `queue`. */
  input(queue: number): string {
    return this.queue(queue).used
      .map(({ memory, written }) => new TextDecoder().decode(memory.subarray(0, written))).join("");
  }
  async reset(): Promise<void> {
    this.session.abort();
    await this.device.stop();
    this.session.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.reset();
    await this.device[Symbol.asyncDispose]();
  }
}

// Control messages byte by byte (virtio 1.3 §5.3.6.2): le32 id, le16 event, le16 value.
const DEVICE_READY = [0, 0, 0, 0, 0, 0, 1, 0];
const portReady = (id: number) => [id, 0, 0, 0, 3, 0, 1, 0];
const portOpen = (id: number, open: number) => [id, 0, 0, 0, 6, 0, open, 0];
const portAdd = (id: number) => [id, 0, 0, 0, 1, 0, 0, 0];
const consolePort = (id: number) => [id, 0, 0, 0, 4, 0, 1, 0];
const resize = (
  id: number,
  cols: number,
  rows: number,
) => [id, 0, 0, 0, 5, 0, 1, 0, cols, 0, rows, 0];
const portName = (id: number, name: string) => {
  return [id, 0, 0, 0, 7, 0, 1, 0, ...new TextEncoder().encode(name)];
};

async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}

Deno.test("ConsoleDevice.config() is the configuration space, byte by byte", () => {
  const ports = [{ backend: new Terminal("tty", { columns: 132, rows: 50 }) }, {
    backend: new Terminal(),
  }];
  const device = new ConsoleDevice(ports);
  assertEquals(device.config(), Uint8Array.of(132, 0, 50, 0, 2, 0, 0, 0, 0, 0, 0, 0));
  assertEquals([device.name, device.features], ["console tty", 7n]);
});

Deno.test("ConsoleDevice has two queues for each port, and two for control", () => {
  const make = (count: number) =>
    new ConsoleDevice(Array.from({ length: count }, () => ({ backend: new Terminal() })));
  assertEquals(make(1).queueSizes.length, 4);
  assertEquals(make(2).queueSizes.length, 6);
  assertEquals(make(31).queueSizes.length, 64);
  assertEquals(make(2).pushLimits, [0, 32768, 0, 64, 0, 32768]);
  assertThrows(() => make(32), RangeError, "32 ports");
  assertThrows(() => make(0), RangeError);
});

/** A console of three ports whose driver earlier hosts served: so many messages came and went. */
async function adopted(heard: number, said: number) {
  const tty = new Terminal("tty", { columns: 80, rows: 24 });
  const log = new Terminal("log");
  const console = new Console([
    { backend: tty },
    { backend: log, name: "log" },
    { backend: new Terminal("exec") },
  ]);
  await console.reset();
  const { features, queueSizes } = console.device;
  const session = console.session = new FakeSession(queueSizes, features);
  session.adopted = true;
  session.queues[2]!.usedBefore = heard;
  session.queues[3]!.usedBefore = said;
  for (let i = 0; i < 16; i++) session.queues[2]!.add({ writable: 64 });
  session.queues[0]!.add({ writable: 64 });
  console.device.start(session);
  return { console, tty, log };
}
const OF_PORTS = [
  consolePort(0),
  portOpen(0, 1),
  resize(0, 80, 24),
  portName(1, "log"),
  portOpen(1, 1),
  portOpen(2, 1),
];

for (
  const { when, heard, said, adds, rest } of [
    { when: "knows all ports", heard: 3, said: 1, adds: [], rest: OF_PORTS },
    { when: "was told much", heard: 65_000, said: 9, adds: [], rest: OF_PORTS },
    { when: "knows two ports", heard: 2, said: 1, adds: [portAdd(2)], rest: OF_PORTS.slice(0, 5) },
    { when: "has asked in vain", heard: 0, said: 1, adds: [0, 1, 2].map(portAdd), rest: [] },
    { when: "has not asked", heard: 0, said: 0, adds: [], rest: [] },
  ]
) {
  Deno.test(`ConsoleDevice adds no port twice for a driver that was served before and ${when}`, async () => {
    const { console, tty } = await adopted(heard, said);
    await using _ = console;
    assertEquals(console.heard(), [...adds, ...rest]);
    tty.type("hello");
    assertEquals(console.input(0), "hello", "its ports are taken for open");
    console.say(...DEVICE_READY);
    console.say(...portReady(2));
    const added = console.heard().filter(([, , , , event]) => event === 1);
    assertEquals(added, [0, 1, 2].slice(Math.min(heard, 3)).map(portAdd));
    assertEquals(console.heard().at(-1), portOpen(2, 1));
  });
}

Deno.test("ConsoleDevice hears of a driver that was served before whether its ports are open", async () => {
  const { console, tty, log } = await adopted(3, 1);
  await using _ = console;
  // One that was not open after all, and is opened now; and one that is closed.
  for (let i = 0; i < 2; i++) console.say(...portOpen(0, 1));
  console.say(...portOpen(1, 0));
  assertEquals([tty.openings, log.openings], [["assumed", true], ["assumed", false]]);
});

Deno.test("ConsoleDevice goes through the handshake of Linux's driver with a console and a named port", async () => {
  const tty = new Terminal("tty", { columns: 80, rows: 24 });
  const log = new Terminal("log");
  await using console = new Console([{ backend: tty }, { name: "org.test.log", backend: log }]);
  console.buffers(2, 32);
  console.say(...DEVICE_READY);
  assertEquals(console.heard(), [portAdd(0), portAdd(1)]);
  console.say(...portReady(0));
  console.say(...portReady(1));
  assertEquals(console.heard().slice(2), [
    consolePort(0),
    portOpen(0, 1),
    resize(0, 80, 24),
    portName(1, "org.test.log"),
    portOpen(1, 1),
  ]);
  assertEquals([tty.openings, log.openings], [[], []]);
  console.say(...portOpen(0, 1));
  console.say(...portOpen(1, 1));
  console.say(...portOpen(1, 0));
  assertEquals([tty.openings, log.openings], [[true], [true, false]]);
  assertEquals(console.session.failure, undefined);
});

Deno.test("ConsoleDevice says what it has to as receive buffers come, in order, and says it once", async () => {
  const tty = new Terminal("tty", { columns: 80, rows: 24 });
  await using console = new Console([{ backend: tty, name: "main" }]);
  for (let i = 0; i < 100; i++) console.say(...DEVICE_READY);
  for (let i = 0; i < 100; i++) console.say(...portReady(0));
  for (let i = 0; i < 5; i++) console.buffers(2, 1);
  console.buffers(2, 5);
  assertEquals(console.heard(), [
    portAdd(0),
    consolePort(0),
    portName(0, "main"),
    portOpen(0, 1),
    resize(0, 80, 24),
  ]);
  // A port that exists is not added again.
  console.buffers(2, 4);
  console.say(...DEVICE_READY);
  assertEquals(console.heard().length, 5);
});

Deno.test("ConsoleDevice waits with control messages while the link is full", async () => {
  await using console = new Console([{ backend: new Terminal() }]);
  console.buffers(2, 4);
  console.queue(3).add({ readable: Uint8Array.from(DEVICE_READY) });
  console.session.writable = false;
  console.device.notified(3);
  assertEquals(console.heard(), []);
  console.session.writable = true;
  assertEquals(console.heard(), [portAdd(0)]);
});

Deno.test("ConsoleDevice ignores failed ports, ports that do not exist and messages to drivers", async () => {
  await using console = new Console([{ backend: new Terminal() }]);
  console.buffers(2, 8);
  console.say(0, 0, 0, 0, 0, 0, 0, 0);
  console.say(0, 0, 0, 0, 3, 0, 0, 0);
  console.say(...portReady(1));
  console.say(255, 255, 255, 255, 6, 0, 1, 0);
  console.say(...consolePort(0));
  console.say(0, 0, 0, 0, 99, 0, 1, 0);
  assertEquals([console.heard(), console.session.failure], [[], undefined]);
  assertEquals(console.queue(3).used.length, 6);
});

Deno.test("ConsoleDevice fails on a control message that is too short, and on a buffer too small for one", async () => {
  await using short = new Console([{ backend: new Terminal() }]);
  short.say(0, 0, 0, 0, 0, 0, 1);
  assertInstanceOf(short.session.failure, DriverError);
  await using small = new Console([{ backend: new Terminal(), name: "a name" }]);
  small.buffers(2, 4, 10);
  small.say(...DEVICE_READY);
  small.say(...portReady(0));
  assertInstanceOf(small.session.failure, DriverError);
  assertEquals(small.session.failure.fault, "request");
});

Deno.test("ConsoleDevice tells a resize to the card: in the configuration, and by the last size to a ready console", async () => {
  const tty = new Terminal("tty", { columns: 80, rows: 24 });
  await using console = new Console([{ backend: tty }]);
  tty.events.resized(80, 24);
  assertEquals(console.slot.changes, 1);
  console.buffers(2, 4);
  console.say(...DEVICE_READY);
  console.say(...portReady(0));
  for (const columns of [81, 82, 83]) {
    tty.size = { columns, rows: 25 };
    tty.events.resized(columns, 25);
  }
  console.buffers(2, 4);
  assertEquals(console.heard().slice(1), [
    consolePort(0),
    portOpen(0, 1),
    resize(0, 80, 24),
    resize(0, 83, 25),
  ]);
  assertEquals([...console.device.config().subarray(0, 4)], [83, 0, 25, 0]);
});

Deno.test("ConsoleDevice passes input to an open port through as many buffers as it takes", async () => {
  const tty = new Terminal();
  await using console = new Console([{ backend: tty }, { backend: new Terminal(), name: "x" }]);
  console.buffers(0, 4, 3);
  tty.type("early ");
  assertEquals([console.input(0), tty.left], ["", "early "]);
  console.say(...portOpen(0, 1));
  assertEquals([console.input(0), tty.left], ["early ", ""]);
  tty.type("and more");
  assertEquals([console.input(0), tty.left], ["early and mo", "re"]);
  console.buffers(0, 1, 100);
  assertEquals([console.input(0), tty.left], ["early and more", ""]);
  console.say(...portOpen(0, 0));
  tty.type("late");
  assertEquals(tty.left, "late");
});

Deno.test("ConsoleDevice passes the input of port 1 on queue 4, and its output from queue 5", async () => {
  const port = new Terminal();
  await using console = new Console([{ backend: new Terminal() }, { backend: port, name: "x" }]);
  console.buffers(4, 1);
  console.say(...portOpen(1, 1));
  port.type("in");
  assertEquals(console.input(4), "in");
  console.output(5, "out");
  assertEquals(port.output, "out");
});

Deno.test("ConsoleDevice takes no input while the link is full", async () => {
  const tty = new Terminal();
  await using console = new Console([{ backend: tty }]);
  console.buffers(0, 4);
  console.say(...portOpen(0, 1));
  console.session.writable = false;
  tty.type("a");
  tty.type("b");
  assertEquals(tty.left, "ab");
  console.session.writable = true;
  assertEquals([console.input(0), tty.left, tty.resumes], ["ab", "", 1]);
});

Deno.test("ConsoleDevice fails on a receive buffer of no bytes", async () => {
  const tty = new Terminal();
  await using console = new Console([{ backend: tty }]);
  console.say(...portOpen(0, 1));
  console.buffers(0, 1, 0);
  tty.type("a");
  assertInstanceOf(console.session.failure, DriverError);
});

Deno.test("ConsoleDevice gives output back when the backend took it, in order", async () => {
  const tty = new Terminal();
  await using console = new Console([{ backend: tty }]);
  const gate = Promise.withResolvers<void>();
  const first = console.output(1, "one ");
  tty.gate = gate.promise;
  const second = console.output(1, "two ");
  const third = console.output(1, "three");
  await turn();
  assertEquals([first.written, second.written, third.written], [0, undefined, undefined]);
  assertEquals(tty.output, "one two ");
  gate.resolve();
  await third.used;
  assertEquals(tty.output, "one two three");
});

Deno.test("ConsoleDevice fetches output that was not pushed whole, in order", async () => {
  const tty = new Terminal();
  await using console = new Console([{ backend: tty }]);
  const gate = Promise.withResolvers<void>();
  console.queue(1).fetchGate = gate.promise;
  console.output(1, "long line ", 4);
  const last = console.output(1, "end");
  assertEquals(tty.output, "");
  gate.resolve();
  await last.used;
  assertEquals(tty.output, "long line end");
});

Deno.test("ConsoleDevice fails on output of more than 1 MiB", async () => {
  await using console = new Console([{ backend: new Terminal() }]);
  console.queue(1).add({ readable: new Uint8Array(1024 * 1024 + 1), pushed: 16 });
  console.device.notified(1);
  assertInstanceOf(console.session.failure, DriverError);
});

Deno.test("ConsoleDevice reports output that its backend refused, and does not stop", async () => {
  const tty = new Terminal();
  await using console = new Console([{ backend: tty }]);
  tty.failure = new Error("unplugged");
  await console.output(1, "lost").used;
  tty.failure = undefined;
  tty.gate = Promise.reject(new Error("pulled"));
  await console.output(1, "lost too").used;
  tty.gate = undefined;
  await console.output(1, " kept").used;
  assertEquals(console.errors.map(String), ["Error: unplugged", "Error: pulled"]);
  assertEquals(tty.output, "lost too kept");
});

Deno.test("ConsoleDevice.stop() does not wait for a terminal that hangs, and the next session waits its turn", async () => {
  const tty = new Terminal();
  await using console = new Console([{ backend: tty }]);
  const gate = Promise.withResolvers<void>();
  tty.gate = gate.promise;
  console.say(...portOpen(0, 1));
  console.output(1, "old ");
  console.output(1, "never ");
  await console.reset();
  assertEquals(tty.openings, [true, false]);
  console.session = console.begin(console.device.features);
  const chain = console.output(1, "new");
  await turn();
  assertEquals(tty.output, "old ");
  tty.gate = undefined;
  gate.resolve();
  await chain.used;
  assertEquals(tty.output, "old new");
});

Deno.test("ConsoleDevice gives its backend a copy: the queue's memory may be used again", async () => {
  const tty = new Terminal();
  const kept: Uint8Array[] = [];
  tty.write = (bytes) => void kept.push(bytes);
  await using console = new Console([{ backend: tty }]);
  console.output(1, "text").readable.fill(0);
  assertEquals(new TextDecoder().decode(kept[0]), "text");
});

Deno.test("ConsoleDevice keeps input from a reset until the port is open again", async () => {
  const tty = new Terminal();
  await using console = new Console([{ backend: tty }]);
  console.say(...portOpen(0, 1));
  await console.reset();
  tty.type("hello");
  console.session = console.begin(console.device.features);
  console.buffers(0, 1);
  assertEquals(tty.left, "hello");
  console.say(...portOpen(0, 1));
  assertEquals([console.input(0), tty.left], ["hello", ""]);
});

Deno.test("ConsoleDevice waits for a full link again after a reset that came while it waited", async () => {
  const tty = new Terminal();
  await using console = new Console([{ backend: tty }]);
  console.say(...portOpen(0, 1));
  console.session.writable = false;
  tty.type("x");
  // The first session calls nobody back: it ends.
  await console.reset();
  console.session = console.begin(console.device.features);
  console.buffers(0, 2);
  console.say(...portOpen(0, 1));
  assertEquals([console.input(0), tty.left], ["x", ""]);
  console.session.writable = false;
  tty.type("y");
  assertEquals(tty.left, "y");
  console.session.writable = true;
  assertEquals([console.input(0), tty.left], ["xy", ""]);
});

Deno.test("ConsoleDevice without MULTIPORT is one port that is always open", async () => {
  const tty = new Terminal();
  const other = new Terminal();
  await using console = new Console([{ backend: tty }, { backend: other }], {
    drop: FEATURE.MULTIPORT,
  });
  assertEquals([tty.openings, other.openings], [[true], []]);
  console.buffers(0, 1);
  tty.type("in");
  console.output(1, "out");
  console.device.notified(3);
  console.device.notified(5);
  assertEquals([console.input(0), tty.output], ["in", "out"]);
});

Deno.test("ConsoleDevice writes emergency characters, before DRIVER_OK and in turn with output that hangs", async () => {
  const tty = new Terminal();
  await using console = new Console([{ backend: tty }]);
  await console.reset();
  for (const character of "Oops") console.device.configWritten(8, 4, character.charCodeAt(0));
  console.device.configWritten(0, 2, 65);
  assertEquals(tty.output, "Oops");

  console.session = console.begin(console.device.features);
  const gate = Promise.withResolvers<void>();
  tty.gate = gate.promise;
  const chain = console.output(1, " line");
  for (let i = 0; i < 5000; i++) console.device.configWritten(8, 1, 33);
  tty.gate = undefined;
  gate.resolve();
  await chain.used;
  // Bounded: what a card says without end while nobody reads is not kept without end.
  assertEquals(tty.output, `Oops line${"!".repeat(4096)}`);
});

Deno.test("ConsoleDevice fails without its queues, and closes all its backends", async () => {
  const terminals = [new Terminal(), new Terminal()];
  {
    await using device = new ConsoleDevice(terminals.map((backend) => ({ backend })));
    device.attached(new FakeSlot());
    const session = new FakeSession([64, 64, 64, 64, 64], device.features);
    device.start(session);
    assertInstanceOf(session.failure, DriverError);
    for (let queue = 0; queue < 6; queue++) device.notified(queue);
  }
  assertEquals(terminals.map(({ closed }) => closed), [1, 1]);
});

Deno.test("ConsoleDevice counts the bytes of all its ports, both ways", async () => {
  const [one, two] = [new Terminal(), new Terminal()];
  await using console = new Console([{ backend: one }, { backend: two, name: "log" }]);
  await console.output(1, "hello").used;
  await console.output(5, "log").used;
  console.say(0, 0, 0, 0, 6, 0, 1, 0);
  console.buffers(0, 1, 4);
  one.type("typed");
  assertEquals(console.device.counters, { inputBytes: 4, outputBytes: 8 });
});
