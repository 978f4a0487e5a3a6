// A console device as a whole: configuration, a driver without MULTIPORT, its end, and what it counts.
import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ConsoleDevice } from "../../host/devices/console.ts";
import { DriverError } from "../../protocol/errors.ts";
import { FEATURE } from "../../protocol/virtio/console.ts";
import { FakeSession, FakeSlot } from "../support/fake_queue.ts";
import { Console, Terminal } from "../support/console_device_rig.ts";

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
