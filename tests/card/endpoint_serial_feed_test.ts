// Serial output on its way to the host page; the test is the host. Offsets typed by hand from protocol/README.md.
import { assert, assertEquals } from "@std/assert";
import { MESSAGE, viewOf } from "../../protocol/mod.ts";
import { BootRig, HOST_PAGE } from "../support/boot_rig.ts";
import { fakeClock } from "../support/fake_clock.ts";

const REQUEST = 60;
const PIECE_AT = 2048;
const ADOPT = 0x20e6;

/** A card whose OS runs, and a host that has made its first request, or none. */
async function online(request = 1): Promise<BootRig> {
  const rig = new BootRig();
  await rig.bootstrap.powerOn();
  rig.download();
  rig.writePage32(REQUEST, request);
  rig.bootSignal();
  rig.host.link.forget();
  return rig;
}

function ask(rig: BootRig, request: number): void {
  rig.writePage32(REQUEST, request);
  rig.ring(0, 0);
}

/** The piece that is in the host page: number, text, where it begins, bytes waiting behind. */
function piece(rig: BootRig): [number, string, number, number] {
  const bytes = rig.hostPage;
  const word = (at: number) => viewOf(bytes).getUint32(at, true);
  const text = new TextDecoder().decode(bytes.subarray(PIECE_AT, PIECE_AT + word(28)));
  return [word(24), text, word(32), word(36)];
}

const pieces = (rig: BootRig) =>
  rig.host.link.posted.filter((p) => "write" in p && p.write === HOST_PAGE + PIECE_AT);

Deno.test("what a card OS says within one slice is one piece, before its header and MSI 0", async () => {
  await using rig = await online();
  rig.machine.say("Linux ");
  rig.machine.say("version\n");
  assertEquals(rig.host.link.posted, []);
  await Promise.resolve();
  assertEquals(piece(rig), [1, "Linux version\n", 0, 0]);
  const order = rig.host.link.posted.map((p) => "write" in p ? p.write - HOST_PAGE : "MSI");
  assertEquals(order, [PIECE_AT, 0, "MSI"]);
  assertEquals(
    rig.hostPage.subarray(0, 44).toHex(),
    "00eeffc0" + "0100" + "0000" + // magic, version
      "03000000" + "00000000" + "00000000" + "00000000" + // online, reason, heartbeat, text
      "01000000" + "0e000000" + "00000000" + // piece 1, 14 bytes, at 0
      "00000000" + // none waiting
      "00000000",
  );
  assertEquals(rig.host.link.messages(MESSAGE.msi), [[0, 0]]);
});

Deno.test("the first byte of a boot is there, if the machine says it while it is started", async () => {
  await using rig = new BootRig();
  rig.makeMachine = (machine) => {
    const boot = machine.boot.bind(machine);
    machine.boot = (image, events) => {
      boot(image, events);
      machine.say("POST\n");
    };
    return machine;
  };
  await rig.bootstrap.powerOn();
  rig.download();
  rig.writePage32(REQUEST, 7);
  rig.bootSignal();
  await Promise.resolve();
  assertEquals(piece(rig), [7, "POST\n", 0, 0]);
});

Deno.test("the next piece goes when it is asked for, 2 KiB at most, and nothing twice", async () => {
  await using rig = await online();
  rig.machine.say("a".repeat(2048) + "b".repeat(10));
  await Promise.resolve();
  assertEquals(piece(rig), [1, "a".repeat(2048), 0, 10]);
  rig.machine.say("c\n");
  await Promise.resolve();
  rig.ring(0, 0);
  assertEquals(pieces(rig).length, 1, "not asked for");
  ask(rig, 2);
  assertEquals(piece(rig), [2, "b".repeat(10) + "c\n", 2048, 0]);
  // Nothing is there: the answer waits for the next byte.
  ask(rig, 3);
  assertEquals(pieces(rig).length, 2);
  rig.machine.say("d\n");
  await Promise.resolve();
  assertEquals(piece(rig), [3, "d\n", 2060, 0]);
  // A header of another kind does not carry it again.
  rig.machine.events!.stopped("halted", "");
  assertEquals([pieces(rig).length, piece(rig)], [3, [3, "d\n", 2060, 0]]);
});

Deno.test("a piece is whole lines, but for one that is not ended for a second or longer than a piece", async () => {
  using clock = fakeClock();
  await using rig = await online();
  rig.machine.say("login");
  await clock.tick(999);
  assertEquals(pieces(rig).length, 0);
  rig.machine.say(": ");
  await clock.tick(1);
  assertEquals(piece(rig), [1, "login: ", 0, 0]);
  rig.machine.say("one\ntwo\nthr");
  ask(rig, 2);
  assertEquals(piece(rig), [2, "one\ntwo\n", 7, 3]);
  ask(rig, 3);
  rig.machine.say("ee\nfo");
  await Promise.resolve();
  assertEquals(piece(rig), [3, "three\n", 15, 2]);
  rig.machine.say("u".repeat(3000));
  ask(rig, 4);
  assertEquals(piece(rig), [4, "fo" + "u".repeat(2046), 21, 954]);
  // Its last words come however they end.
  ask(rig, 5);
  rig.machine.events!.stopped("crashed", "");
  assertEquals(piece(rig), [5, "u".repeat(954), 2069, 0]);
});

Deno.test("a host that asks for none gets none, and the kernel log is there all the same", async () => {
  await using rig = await online(0);
  rig.machine.say("Linux version\n");
  await Promise.resolve();
  ask(rig, 0);
  assertEquals(rig.host.link.posted, []);
  assertEquals(rig.host.readRegister("log_length"), 14);
});

Deno.test("a card OS that floods its serial port fills no link: what is not asked for is dropped, and counted", async () => {
  await using rig = await online();
  const flood = "0123456789abcdef".repeat(64 * 1024 / 16);
  for (let i = 0; i < 20; i++) {
    rig.machine.say(flood);
    await Promise.resolve();
  }
  assertEquals(pieces(rig).length, 1);
  assertEquals(piece(rig), [1, flood.slice(0, 2048), 0, 64 * 1024 - 2048]);
  ask(rig, 2);
  const kept = 19 * 64 * 1024;
  assertEquals(piece(rig), [2, flood.slice(0, 2048), kept, 64 * 1024 - 2048]);
  ask(rig, 3);
  assertEquals(piece(rig), [3, flood.slice(2048, 4096), kept + 2048, 64 * 1024 - 4096]);
});

Deno.test("while the link takes nothing no piece leaves, and then the one that was asked for", async () => {
  await using rig = await online();
  rig.host.link.writable = false;
  rig.machine.say("first\n");
  await Promise.resolve();
  assertEquals(pieces(rig).length, 0);
  rig.host.link.writable = true;
  assertEquals(piece(rig), [1, "first\n", 0, 0]);
});

Deno.test("a card OS that has stopped says how much is still to come, and it can be asked for", async () => {
  await using rig = await online();
  rig.machine.say("x".repeat(3000));
  await Promise.resolve();
  rig.machine.say("Kernel panic\n");
  rig.machine.events!.stopped("crashed", "");
  assertEquals([rig.publishedState, piece(rig)[3]], ["stopped", 3000 + 13 - 2048]);
  ask(rig, 2);
  assertEquals(piece(rig), [2, "x".repeat(952) + "Kernel panic\n", 2048, 0]);
});

Deno.test("the panic that was said last goes with the word that the card OS has stopped", async () => {
  await using rig = await online();
  rig.machine.say("Kernel panic\n");
  rig.machine.events!.stopped("crashed", "");
  assertEquals([rig.publishedState, piece(rig)], ["stopped", [1, "Kernel panic\n", 0, 0]]);
});

Deno.test("the next host gets what the one before has not taken, once, and what was said meanwhile", async () => {
  await using rig = await online();
  rig.machine.say("taken\n");
  await Promise.resolve();
  ask(rig, 2);
  rig.machine.say("under way\n");
  await Promise.resolve();
  assertEquals(piece(rig)[1], "under way\n");
  rig.bootstrap.park();
  rig.host.link.forget();
  rig.machine.say("alone\n");
  await Promise.resolve();
  assertEquals(rig.host.link.posted, []);
  rig.host.setUp();
  rig.writeHostPage();
  rig.writePage32(REQUEST, 1);
  rig.host.writeRegister("boot", ADOPT);
  assertEquals([rig.publishedState, piece(rig)], ["online", [1, "under way\nalone\n", 6, 0]]);
  // That one said that it took it; a third finds nothing.
  ask(rig, 2);
  rig.bootstrap.park();
  rig.host.link.forget();
  rig.host.setUp();
  rig.writeHostPage();
  rig.writePage32(REQUEST, 1);
  rig.host.writeRegister("boot", ADOPT);
  assertEquals(piece(rig), [0, "", 0, 0]);
});

Deno.test("a reset ends what a machine had to say, and the next one begins at its first byte", async () => {
  await using rig = await online();
  rig.machine.say("x".repeat(3000));
  await Promise.resolve();
  ask(rig, 2);
  const old = rig.machine;
  await rig.reset();
  old.say("late\n");
  await Promise.resolve();
  assertEquals(piece(rig), [0, "", 0, 0]);
  rig.download();
  rig.writePage32(REQUEST, 1);
  rig.bootSignal();
  rig.machine.say("second boot\n");
  await Promise.resolve();
  assertEquals(piece(rig), [1, "second boot\n", 0, 0]);
  assert(old !== rig.machine);
});
