// A virtio-pci function whose driver is up: notifications, interrupts, resets, device configuration.
import { assert, assertEquals } from "@std/assert";
import {
  accept,
  CONFIG,
  DESC,
  DRIVER_FEATURE,
  GENERATION,
  ISR,
  live,
  make,
  NOTIFY,
  NUM_QUEUES,
  QUEUE_ENABLE,
  QUEUE_SELECT,
  QUEUE_SIZE,
  setUp,
  STATUS,
} from "../support/pci_function_rig.ts";

Deno.test("notify is dropped, when the device is not live or the queue not enabled", () => {
  const { fn, took } = make();
  accept(fn);
  setUp(fn);
  took();
  fn.write(NOTIFY, 2, 0);
  fn.write(STATUS, 1, 15);
  took();
  fn.write(NOTIFY + 8, 2, 2);
  fn.write(NOTIFY + 1, 2, 0);
  assertEquals(took(), []);
  fn.write(NOTIFY, 2, 0);
  assertEquals(took(), ["notified 0"]);
});

Deno.test("reset keeps the status until resetDone(), and drops all writes meanwhile", () => {
  const { fn, took, state } = live();
  fn.queueInterrupt();
  fn.write(STATUS, 1, 0);
  assertEquals(took(), ["reset?"]);
  assertEquals(state.line, false);
  assertEquals(fn.read(STATUS, 1), 15);
  assertEquals(fn.read(ISR, 1), 0);
  fn.queueInterrupt();
  fn.write(NOTIFY, 2, 0);
  fn.write(STATUS, 1, 0);
  fn.write(STATUS, 1, 0x8f);
  assertEquals(state.line, false);
  assertEquals(took(), []);
  fn.resetDone();
  assertEquals(fn.read(STATUS, 1), 0);
  fn.write(QUEUE_SELECT, 2, 0);
  assertEquals(fn.read(QUEUE_ENABLE, 2), 0);
  assertEquals(fn.read(QUEUE_SIZE, 2), 256);
  assertEquals(fn.read(DESC, 4), 0);
  assertEquals(accept(fn), 11, "and it works again");
});

Deno.test("resetDone() does nothing, when no reset was asked for", () => {
  const { fn } = live();
  fn.resetDone();
  assertEquals(fn.read(STATUS, 1), 15);
});

Deno.test("ISR names its causes once, and reading it lowers INTx", () => {
  const { fn, state } = live();
  fn.queueInterrupt();
  fn.configInterrupt();
  assert(state.line);
  assertEquals(fn.read(ISR, 1), 3);
  assertEquals(state.line, false);
  assertEquals(fn.read(ISR, 1), 0);
  fn.queueInterrupt();
  assertEquals(fn.read(ISR, 1), 1);
});

Deno.test("no interrupt comes before DRIVER_OK", () => {
  const { fn, state } = make();
  accept(fn);
  fn.queueInterrupt();
  fn.configInterrupt();
  assertEquals(state.line, false);
});

Deno.test("a configuration change before DRIVER_OK interrupts at DRIVER_OK, and not after a reset", () => {
  const { fn, state } = make();
  accept(fn);
  fn.configInterrupt();
  fn.write(STATUS, 1, 15);
  assert(state.line);
  assertEquals(fn.read(ISR, 1), 2);
  fn.write(STATUS, 1, 0);
  fn.configInterrupt();
  fn.resetDone();
  accept(fn);
  fn.write(STATUS, 1, 15);
  assertEquals([fn.read(ISR, 1), state.line], [0, false]);
});

Deno.test("needsReset() shows DEVICE_NEEDS_RESET with a configuration interrupt until reset", () => {
  const { fn, state, took } = live();
  fn.needsReset();
  assertEquals(fn.read(STATUS, 1), 0x4f);
  assert(state.line);
  assertEquals(fn.read(ISR, 1), 2);
  fn.needsReset();
  assertEquals(state.line, false, "once");
  fn.write(STATUS, 1, 0xcf);
  assertEquals(fn.read(STATUS, 1), 0xcf);
  fn.write(STATUS, 1, 0);
  fn.resetDone();
  assertEquals(fn.read(STATUS, 1), 0);
  took();
});

Deno.test("the driver cannot write DEVICE_NEEDS_RESET itself", () => {
  const { fn } = make();
  fn.write(STATUS, 1, 0xc1);
  assertEquals(fn.read(STATUS, 1), 0x81);
});

Deno.test("device configuration is read as it is now, and 0 past its end", () => {
  const { fn, config, state } = make();
  assertEquals(fn.read(CONFIG, 4), 0x04030201);
  assertEquals(fn.read(CONFIG + 1, 2), 0x0302);
  assertEquals(fn.read(CONFIG + 8, 4), 0x0a09);
  assertEquals(fn.read(CONFIG + 10, 4), 0);
  config[0] = 0x81;
  config[3] = 0xff;
  assertEquals(fn.read(CONFIG, 4), 0xff030281);
  assertEquals(fn.read(GENERATION, 1), 0xff);
  state.generation++;
  assertEquals(fn.read(GENERATION, 1), 0);
});

Deno.test("config_generation is another after 256 changes too, and the same without one", () => {
  const { fn, state } = make();
  const read = () => (fn.read(CONFIG, 4), fn.read(GENERATION, 1));
  assertEquals([read(), read()], [0xff, 0xff]);
  state.generation += 256;
  assertEquals([read(), read()], [0, 0]);
  // Seen torn: a change between two fields shows behind them.
  const before = fn.read(GENERATION, 1);
  fn.read(CONFIG, 4);
  state.generation += 512;
  fn.read(CONFIG + 4, 4);
  assertEquals([before, fn.read(GENERATION, 1)], [0, 1]);
});

Deno.test("device configuration writes are passed on, before DRIVER_OK too", () => {
  const { fn, took } = make();
  fn.write(CONFIG + 8, 2, 0x4142);
  fn.write(CONFIG + 8, 4, 1);
  fn.write(CONFIG + 10, 1, 1);
  assertEquals(took(), ["config 8 2 16706"], "only what lies inside");
});

Deno.test("device configuration takes no write while a reset is under way", () => {
  const { fn, took } = live();
  fn.write(STATUS, 1, 0);
  took();
  fn.write(CONFIG, 1, 1);
  assertEquals(took(), []);
});

Deno.test("a read of odd width or place gives the bytes that lie there", () => {
  const { fn } = make();
  accept(fn);
  assertEquals(fn.read(NUM_QUEUES, 4), 0xff0b0003, "num_queues, device_status, config_generation");
  assertEquals(fn.read(NUM_QUEUES + 1, 2), 0x0b00);
  assertEquals(fn.read(0xfe, 4), 0);
});

Deno.test("a write of the wrong width or place does nothing", () => {
  const { fn, took } = make();
  fn.write(STATUS, 2, 1);
  fn.write(STATUS, 4, 1);
  fn.write(NUM_QUEUES, 2, 7);
  fn.write(DRIVER_FEATURE + 1, 1, 1);
  fn.write(0xff, 1, 1);
  assertEquals([fn.read(STATUS, 1), fn.read(NUM_QUEUES, 2), fn.read(DRIVER_FEATURE, 4)], [0, 3, 0]);
  assertEquals(took(), []);
});
