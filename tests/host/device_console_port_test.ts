// What is typed on a console port, and what the card writes to it.
import { assertEquals, assertInstanceOf } from "@std/assert";
import { DriverError } from "../../protocol/errors.ts";
import { Console, portOpen, Terminal, turn } from "../support/console_device_rig.ts";

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
