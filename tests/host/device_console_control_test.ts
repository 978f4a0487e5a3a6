// The control queues of a console device: which ports there are, and how they are.
import { assertEquals, assertInstanceOf } from "@std/assert";
import { DriverError } from "../../protocol/errors.ts";
import { FakeSession } from "../support/fake_queue.ts";
import {
  Console,
  consolePort,
  DEVICE_READY,
  portAdd,
  portName,
  portOpen,
  portReady,
  resize,
  Terminal,
} from "../support/console_device_rig.ts";

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
