// What a card says of its serial port, as the host driver takes it; the card is the test's own, and may lie.
import { assert, assertEquals } from "@std/assert";
import { HostDriver } from "../../host/driver/host_driver.ts";
import { RootPort } from "../../host/driver/root_port.ts";
import type { SerialSink } from "../../host/driver/serial_stream.ts";
import { encodeDiagImage, le32, viewOf } from "../../protocol/mod.ts";
import { FakeCard } from "../support/fake_card.ts";
import { fakeClock } from "../support/fake_clock.ts";

const IMAGES = { kernel: { name: "diag", bytes: encodeDiagImage() }, cmdline: "" };
const REQUEST = 60;
const PIECE_AT = 2048;

/** A card whose OS is online, and what its host was told of its serial port, and shown. */
async function online(sink?: SerialSink) {
  const root = new RootPort();
  const card = new FakeCard(root);
  const told: string[] = [];
  card.onBoot = () => card.report("online");
  card.onReset = () => {
    told.push("reset");
    card.becomeReady();
  };
  const show: SerialSink = (piece) => {
    const { bytes, position } = piece;
    told.push(new TextDecoder().decode(bytes) + (position > 0 ? ` at ${position}` : ""));
    return sink?.(piece);
  };
  const driver = HostDriver.attach({
    requester: card.requester,
    rootPort: root,
    devices: [],
    serial: show,
    onEvent: (event) => {
      if (event.type === "state") told.push(event.state);
    },
  });
  await driver.probe();
  await driver.boot(IMAGES);
  told.length = 0;
  const request = () => le32.get(viewOf(card.page), REQUEST);
  const say = (
    piece: number,
    text: string,
    { position = 0, waiting = 0, length = text.length } = {},
  ) => {
    card.write(card.hostPage + PIECE_AT, new TextEncoder().encode(text));
    card.serial = {
      serial_piece: piece,
      serial_length: length,
      serial_position: position,
      serial_waiting: waiting,
    };
    card.report("online");
  };
  return { card, driver, told, request, say };
}

Deno.test("a piece is shown at once, and the next one asked for by doorbell 0", async () => {
  using clock = fakeClock();
  const { card, driver, told, request, say } = await online();
  assertEquals([request(), card.doorbells], [1, []]);
  say(1, "Linux version\n");
  assertEquals(told, ["Linux version\n"]);
  await card.settle();
  assertEquals([request(), card.doorbells], [2, [[0, 0]]]);
  // The header comes again with each heartbeat.
  card.report("online");
  await clock.tick(100);
  say(2, "later\n", { position: 7 });
  assertEquals(told, ["Linux version\n", "later\n at 7"]);
  await driver[Symbol.asyncDispose]();
});

Deno.test("a card that answers as fast as it can is asked every 8 ms", async () => {
  using clock = fakeClock();
  const { card, driver, told, request, say } = await online();
  card.onDoorbell = () => say(request(), "x".repeat(2048), { waiting: 0xffff_ffff });
  say(1, "x".repeat(2048));
  await clock.tick(1000);
  assert(told.length >= 110 && told.length <= 126, `${told.length} pieces in a second`);
  await driver[Symbol.asyncDispose]();
});

Deno.test("a piece that answers no request is not taken, and one that is too long is cut", async () => {
  using clock = fakeClock();
  const { card, driver, told, request, say } = await online();
  for (const piece of [0, 2, 0xffff_ffff]) say(piece, "lie\n");
  await clock.tick(100);
  assertEquals([told, request()], [[], 1]);
  say(1, "x".repeat(2048), { length: 0xffff_ffff });
  await card.settle();
  assertEquals([told[0]!.length, request()], [2048, 2]);
  say(1, "again\n");
  await clock.tick(100);
  assertEquals(told.length, 1);
  await driver[Symbol.asyncDispose]();
});

Deno.test("nothing more is asked for while whoever reads the console takes nothing", async () => {
  using clock = fakeClock();
  const reader = Promise.withResolvers<void>();
  const { driver, told, request, say } = await online(() => reader.promise);
  say(1, "one\n");
  say(2, "two\n");
  await clock.tick(10_000);
  assertEquals([told, request()], [["one\n"], 2]);
  reader.resolve();
  await clock.tick(10);
  assertEquals([told, request()], [["one\n", "two\n"], 3]);
  await driver[Symbol.asyncDispose]();
});

Deno.test("what a card OS said before it stopped is shown before the card is reset", async () => {
  const { card, driver, told, request, say } = await online();
  const words = ["one\n", "Kernel panic\n"];
  card.onDoorbell = () => {
    const word = words.shift();
    if (word) say(request(), word, { waiting: words.length });
  };
  card.serial = { ...card.serial, serial_waiting: 17 };
  card.report("stopped", "crashed");
  say(1, "zero\n", { waiting: 17 });
  await driver.reset();
  assertEquals(told, [
    "shutting_down",
    "zero\n",
    "resetting",
    "one\n",
    "Kernel panic\n",
    "reset",
    "ready",
  ]);
  await driver[Symbol.asyncDispose]();
});

Deno.test("a card that promises more, and says nothing, or has no end, is reset all the same", async () => {
  using clock = fakeClock();
  for (const endless of [false, true]) {
    const { card, driver, told, request, say } = await online();
    if (endless) card.onDoorbell = () => say(request(), "x", { waiting: 0xffff_ffff });
    card.serial = { ...card.serial, serial_waiting: 0xffff_ffff };
    card.report("stopped", "halted");
    if (endless) say(1, "x", { waiting: 0xffff_ffff });
    const reset = driver.reset();
    await clock.tick(endless ? 9_900 : 900);
    assert(!told.includes("reset"));
    await clock.tick(200);
    await reset;
    await driver[Symbol.asyncDispose]();
  }
});

Deno.test("a card of wire version 1.2 answers no request, and nobody waits for it", async () => {
  using _clock = fakeClock();
  const { card, driver, told } = await online();
  card.report("stopped", "crashed");
  await driver.reset();
  assertEquals(told, ["shutting_down", "resetting", "reset", "ready"]);
  await driver[Symbol.asyncDispose]();
});

Deno.test("a driver without a reader of the serial port asks for nothing", async () => {
  const root = new RootPort();
  const card = new FakeCard(root);
  card.onBoot = () => card.report("online");
  const driver = HostDriver.attach({ requester: card.requester, rootPort: root, devices: [] });
  await driver.probe();
  await driver.boot(IMAGES);
  assertEquals(le32.get(viewOf(card.page), REQUEST), 0);
  card.serial = { ...card.serial, serial_piece: 0, serial_length: 5 };
  card.report("online");
  await card.settle();
  assertEquals(card.doorbells, []);
  await driver[Symbol.asyncDispose]();
});
