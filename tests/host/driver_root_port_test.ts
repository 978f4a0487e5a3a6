import { assertEquals, assertThrows } from "@std/assert";
import { RootPort } from "../../host/driver/root_port.ts";
import { MESSAGE, MSI_VECTORS, UnsupportedRequest } from "../../protocol/mod.ts";

Deno.test("RootPort dispatches each marked vector once, in order, at the end of the batch", () => {
  const port = new RootPort();
  const seen: number[] = [];
  for (const v of [0, 3, 31]) port.handle(v, () => seen.push(v));
  for (const v of [31, 3, 3, 0, 3]) port.message(MESSAGE.msi, v, 0);
  assertEquals(seen, []);
  port.batchEnd();
  assertEquals(seen, [0, 3, 31]);
  port.batchEnd();
  assertEquals(seen, [0, 3, 31]);
  assertEquals(port.counters.interrupts, 3);
});

Deno.test("RootPort dispatches what came before a device configuration write, then that", () => {
  const port = new RootPort();
  const seen: string[] = [];
  port.handle(2, () => seen.push("vector 2"));
  port.handle(3, () => seen.push("vector 3"));
  port.listen({ postCode() {}, deviceConfigWrite: () => seen.push("config") });
  port.message(MESSAGE.msi, 2, 0);
  port.message(MESSAGE.device_config_write, 0x0000_0101, 1);
  port.message(MESSAGE.msi, 3, 0);
  port.batchEnd();
  assertEquals(seen, ["vector 2", "config", "vector 3"]);
});

Deno.test("RootPort counts an interrupt that nobody handles", () => {
  const port = new RootPort();
  port.handle(5, () => {});
  port.handle(5, undefined);
  port.message(MESSAGE.msi, 5, 0);
  port.batchEnd();
  assertEquals(port.counters.spuriousInterrupts, 1);
});

Deno.test("RootPort keeps a vector that is raised while its handler runs for the next batch", () => {
  const port = new RootPort();
  let runs = 0;
  port.handle(1, () => {
    if (runs++ === 0) port.message(MESSAGE.msi, 1, 0);
  });
  port.message(MESSAGE.msi, 1, 0);
  port.batchEnd();
  assertEquals(runs, 1);
  port.batchEnd();
  assertEquals(runs, 2);
});

Deno.test("RootPort refuses a vector beyond those it enabled", () => {
  const port = new RootPort();
  assertThrows(() => port.message(MESSAGE.msi, MSI_VECTORS, 0), UnsupportedRequest, "vector 32");
  assertThrows(() => port.handle(32, () => {}), RangeError);
});

Deno.test("RootPort passes messages on to who listens, and counts errors", () => {
  const port = new RootPort();
  port.message(MESSAGE.post_code, 0x3231, 0);
  const seen: unknown[] = [];
  port.listen({
    postCode: (code) => seen.push(["post", code]),
    deviceConfigWrite: (...args) => seen.push(["config", ...args]),
    power: (code) => seen.push(["power", code]),
  });
  port.message(MESSAGE.post_code, 0x3231, 0);
  port.message(MESSAGE.device_config_write, 0x0102_0204, 0xbeef);
  port.message(MESSAGE.power, 0x1b, 0);
  port.message(MESSAGE.error, 0x31, 0x1000);
  assertEquals(seen, [["post", 0x3231], ["config", 4, 2, 0x102, 0xbeef], ["power", 0x1b]]);
  assertEquals(port.counters.errorMessages, 1);
});

Deno.test("RootPort refuses what the host has not: config and I/O space, odd widths, unknown messages", () => {
  const port = new RootPort();
  assertThrows(() => port.configRead(), UnsupportedRequest);
  assertThrows(() => port.configWrite(), UnsupportedRequest);
  assertThrows(() => port.ioRead(0x80), UnsupportedRequest, "0x80");
  assertThrows(() => port.ioWrite(0x80), UnsupportedRequest);
  assertThrows(() => port.message(99, 0, 0), UnsupportedRequest, "unknown code");
  assertThrows(() => port.message(MESSAGE.device_config_write, 3 << 8, 0), UnsupportedRequest);
});

Deno.test("RootPort forwards memory requests to the system memory window", () => {
  const port = new RootPort();
  const region = port.memory.map(4, { cardMayRead: true, cardMayWrite: true });
  port.memoryWrite(region.address, Uint8Array.of(1, 2));
  const into = new Uint8Array(4);
  port.memoryRead(region.address, into);
  assertEquals(into, Uint8Array.of(1, 2, 0, 0));
  assertThrows(() => port.memoryRead(0, into), UnsupportedRequest);
});
