// The bootstrap, from power on over boots and resets to the end.
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import FakeTimers from "@sinonjs/fake-timers";
import {
  page,
  REGISTERS,
  SHUTDOWN_REASON,
  UnsupportedRequest,
  viewOf,
} from "../../protocol/mod.ts";
import { BootRig } from "../support/boot_rig.ts";
import { APERTURE, BLOCK } from "../support/endpoint_host.ts";
import type { FakeMachine } from "../support/fake_machine.ts";
import { MAGIC, ready, SHUTDOWN_REQUEST } from "../support/ready_card.ts";

Deno.test("powerOn() counts through the POST codes to 12 and says where to download to", async () => {
  await using rig = await ready();
  assertEquals(rig.postCodes, ["01", "02", "03", "05", "06", "12"]);
  assertEquals(rig.bootstrap.state, "ready");
  assertEquals(rig.host.readRegister("download_info"), 0x10_0001);
  assertEquals(rig.host.readRegister("platform"), 2);
  assertEquals(rig.host.readRegister("reset"), 0);
});

Deno.test("the card is not ready for download before there is a machine", async () => {
  await using rig = new BootRig();
  const made = Promise.withResolvers<void>();
  rig.makeMachine = async (machine) => (await made.promise, machine);
  const ready = rig.bootstrap.powerOn();
  assertEquals(rig.host.readRegister("download_info"), 0);
  assertEquals(rig.host.readRegister("reset"), 1);
  made.resolve();
  await ready;
  assertEquals(rig.host.readRegister("download_info"), 0x10_0001);
});

Deno.test("powerOn() refuses with EE when no machine can be made", async () => {
  await using rig = new BootRig();
  rig.makeMachine = () => Promise.reject(new Error("out of memory"));
  await rig.bootstrap.powerOn();
  assertEquals(rig.bootstrap.state, "refused");
  assertEquals(rig.postCodes.at(-1), "EE");
  assertEquals(rig.host.readRegister("download_info"), 0);
  rig.makeMachine = (machine) => machine;
  rig.host.writeRegister("reset", 1);
  await rig.bootstrap[Symbol.asyncDispose]();
});

Deno.test("a card that cannot make a machine says why in the host page, when it was reset", async () => {
  await using rig = await ready();
  rig.writeHostPage();
  rig.makeMachine = () => Promise.reject(new Error("out of memory"));
  const refused = rig.reaches("refused");
  rig.host.writeRegister("reset", 1);
  await refused;
  assertEquals(rig.publishedState, "refused");
  assertStringIncludes(rig.text, "Cannot make a machine: Error: out of memory");
  assertEquals(rig.host.link.interrupts.at(-1), 0);
});

Deno.test("a card that cannot make its first machine says why in the host page that it finds then", async () => {
  await using rig = new BootRig();
  const made = Promise.withResolvers<FakeMachine>();
  rig.makeMachine = () => made.promise;
  const on = rig.bootstrap.powerOn();
  rig.writeHostPage();
  // Ignored, since the card is resetting.
  rig.host.writeRegister("reset", 1);
  made.reject(new Error("out of memory"));
  await on;
  assertEquals(rig.publishedState, "refused");
  assertStringIncludes(rig.text, "out of memory");
});

Deno.test("a host page without a bus address is ignored until the boot signal", async () => {
  await using rig = await ready();
  rig.host.writeRegister("host_page_high", 0x10_0000);
  rig.host.link.forget();
  await rig.reset();
  assertEquals(rig.host.link.posted.filter((p) => "write" in p), []);
});

Deno.test("boot() hands the verified images to the machine, and says so by POST codes", async () => {
  await using rig = await ready();
  rig.host.link.forget();
  rig.download();
  rig.bootSignal();
  assertEquals(rig.postCodes, ["13", "15", "17", "FF"]);
  assertEquals(rig.machine.image, {
    kernel: { address: 0x10_0000, length: 8 },
    initrd: { address: 0x19_0000, length: 9 },
    cmdline: "console=hvc0",
  });
  assertEquals(rig.host.readRegister("download_info"), 0);
  assertEquals(rig.events.filter((e) => e.type === "machine_started").length, 1);
});

Deno.test("boot() takes an empty command line and no initrd", async () => {
  await using rig = await ready();
  rig.download({ kernel: "k", cmdline: "", initrd: "" });
  rig.bootSignal();
  assertEquals(rig.machine.image, {
    kernel: { address: 0x10_0000, length: 1 },
    initrd: undefined,
    cmdline: "",
  });
});

Deno.test("boot() is online at once, and says so with vector 0, when there are no devices", async () => {
  await using rig = await ready();
  rig.download();
  rig.host.link.forget();
  rig.bootSignal();
  assertEquals(rig.publishedState, "online");
  assertEquals(rig.hostHeader.magic, 0xc0ff_ee00);
  assertEquals(rig.host.link.interrupts, [0, 0]);
});

Deno.test("boot() is online when the first driver reports DRIVER_OK, and booting until then", async () => {
  await using rig = await ready();
  rig.download();
  // Slot 0: a device of type 2 without queues, VERSION_1 offered.
  rig.writePage(page.slotOffset(0), Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1));
  rig.bootSignal();
  assertEquals(rig.publishedState, "booting");
  const [device] = rig.machine.functions;
  device!.write(0x14, 1, 3);
  device!.write(0x08, 4, 1);
  device!.write(0x0c, 4, 1);
  device!.write(0x14, 1, 11);
  assertEquals(rig.publishedState, "booting");
  device!.write(0x14, 1, 15);
  assertEquals(rig.publishedState, "online");
});

Deno.test("a boot signal means nothing but to a card that is ready", async () => {
  await using rig = await ready();
  rig.download();
  rig.bootSignal();
  rig.host.link.forget();
  rig.bootSignal();
  assertEquals(rig.host.link.posted, []);
});

Deno.test("the reset register gives the card a new machine with empty memory", async () => {
  await using rig = await ready();
  rig.download();
  rig.bootSignal();
  const [old] = rig.machines;
  rig.host.link.forget();
  const done = rig.reaches("ready");
  rig.host.writeRegister("reset", 1);
  assertEquals(rig.publishedState, "resetting");
  assertEquals(rig.host.readRegister("reset"), 1);
  assertEquals(rig.host.endpoint.cardPage.every((byte) => byte === 0), true);
  await done;
  assertEquals([rig.machines.length, old!.disposals], [2, 1]);
  assertEquals(rig.postCodes, ["01", "02", "03", "05", "06", "12"]);
  assertEquals(rig.publishedState, "ready");
  assertEquals(rig.machine.memory.bytes().every((byte) => byte === 0), true);
  rig.download();
  rig.bootSignal();
  assertEquals(rig.publishedState, "online");
});

Deno.test("a second reset while resetting is ignored", async () => {
  await using rig = await ready();
  const done = rig.reaches("ready");
  rig.host.writeRegister("reset", 1);
  rig.host.writeRegister("reset", 1);
  await done;
  assertEquals(rig.machines.length, 2);
});

Deno.test("what a machine of before the reset says is not heard", async () => {
  await using rig = await ready();
  rig.download();
  rig.bootSignal();
  const { events } = rig.machine;
  await rig.reset();
  rig.download();
  rig.bootSignal();
  rig.host.link.forget();
  events!.stopped("crashed", "");
  events!.postCode(0x4242);
  assertEquals(rig.bootstrap.state, "online");
  assertEquals(rig.host.link.posted, []);
});

Deno.test("a stopped card OS is told with its reason, and resets to ready", async () => {
  await using rig = await ready();
  rig.download();
  rig.bootSignal();
  rig.machine.events!.stopped("poweroff", "S5");
  assertEquals(rig.publishedState, "stopped");
  assertEquals(rig.hostHeader.shutdown_reason, SHUTDOWN_REASON.poweroff);
  assertEquals(rig.events.at(-1), {
    type: "machine_stopped",
    reason: "poweroff",
    detail: "S5",
  });
  await rig.reset();
  assertEquals([rig.publishedState, rig.hostHeader.shutdown_reason], ["ready", 0]);
});

Deno.test("a refusal's sentence is gone after reset", async () => {
  await using rig = await ready();
  rig.download();
  rig.writePage32(MAGIC, 0);
  rig.bootSignal();
  await rig.reset();
  assertEquals([rig.publishedState, rig.text], ["ready", ""]);
});

Deno.test("the card OS's POST codes are the card's", async () => {
  await using rig = await ready();
  rig.download();
  rig.bootSignal();
  rig.machine.events!.postCode(0x4b4f);
  assertEquals([rig.postCodes.at(-1), rig.host.readRegister("post_code")], ["OK", 0x4b4f]);
});

Deno.test("doorbell 0 asks the card OS to shut down when the request number changed", async () => {
  await using rig = await ready();
  rig.download();
  rig.bootSignal();
  rig.ring(0, 0);
  assertEquals(rig.machine.shutdownRequests, 0);
  rig.writePage32(SHUTDOWN_REQUEST, 1);
  rig.ring(0, 0);
  rig.ring(0, 0);
  assertEquals(rig.machine.shutdownRequests, 1);
});

Deno.test("doorbells of empty slots and beyond all slots mean nothing", async () => {
  await using rig = await ready();
  rig.ring(0, 0);
  rig.ring(1, 0);
  rig.download();
  rig.bootSignal();
  for (const doorbell of [1, 31, 32, 63]) rig.ring(doorbell, 0xffff);
  assertEquals(rig.bootstrap.state, "online");
});

Deno.test("the heartbeat counts every 2 s while the card OS runs, and not after", async () => {
  const clock = FakeTimers.install({ toFake: ["setInterval", "clearInterval"] });
  try {
    await using rig = await ready();
    rig.download();
    rig.bootSignal();
    assertEquals(rig.hostHeader.heartbeat, 0);
    clock.tick(2000);
    assertEquals(rig.hostHeader.heartbeat, 1);
    clock.tick(4000);
    assertEquals(rig.hostHeader.heartbeat, 3);
    rig.machine.lives = false;
    clock.tick(60_000);
    assertEquals(rig.hostHeader.heartbeat, 3, "the process lives, the OS does not");
    rig.machine.lives = true;
    clock.tick(2000);
    assertEquals(rig.hostHeader.heartbeat, 4);
    assertEquals(rig.host.link.interrupts.at(-1), 0);
    rig.machine.events!.stopped("halted", "");
    rig.host.link.forget();
    clock.tick(10_000);
    assertEquals(rig.host.link.posted, []);
  } finally {
    clock.uninstall();
  }
});

Deno.test("the host page says how the card OS ended", async () => {
  await using rig = await ready();
  rig.download();
  rig.bootSignal();
  rig.machine.events!.stopped("crashed", "The card OS panicked");
  assertEquals([rig.publishedState, rig.text], ["stopped", "The card OS panicked"]);
});

Deno.test("the kernel log is read as it was when its length was, also of an OS that is dead, until the reset", async () => {
  await using rig = await ready();
  const { host } = rig;
  const at = APERTURE + host.readRegister("log_offset");
  const read = (length: number): string => {
    const bytes = new Uint8Array(length);
    host.endpoint.memoryRead(at, bytes);
    return new TextDecoder().decode(bytes);
  };
  assertEquals(host.readRegister("log_length"), 0);
  assertThrows(() => read(1), UnsupportedRequest);
  rig.download();
  rig.bootSignal();
  rig.machine.say("Linux version\n");
  assertThrows(() => read(1), UnsupportedRequest);
  assertEquals(host.readRegister("log_length"), 14);
  rig.machine.say("Kernel panic\n");
  assertEquals(read(14), "Linux version\n");
  assertThrows(() => read(15), UnsupportedRequest);
  assertThrows(() => host.endpoint.memoryWrite(at, Uint8Array.of(0)), UnsupportedRequest);
  rig.machine.events!.stopped("crashed", "");
  assertEquals([host.readRegister("log_length"), read(27)], [27, "Linux version\nKernel panic\n"]);
  await rig.reset();
  assertEquals(host.readRegister("log_length"), 0);
  assertThrows(() => read(1), UnsupportedRequest);
});

Deno.test("the card's clock is set to the host's before the machine boots; no time is no time", async () => {
  await using rig = await ready();
  const at = page.CARD_HEADER.at;
  for (
    const [seconds, nanoseconds, clock] of [
      [1_700_000_000n, 250_000_000, [1_700_000_000_250]],
      [0n, 0, []],
      [253_402_300_800n, 0, []],
      [1_700_000_000n, 1_000_000_000, []],
    ] as const
  ) {
    rig.download();
    const bytes = new Uint8Array(12);
    viewOf(bytes).setBigUint64(0, seconds, true);
    viewOf(bytes).setUint32(8, nanoseconds, true);
    rig.writePage(at.time_seconds, bytes);
    rig.bootSignal();
    assertEquals(rig.machine.clock, [...clock]);
    await rig.reset();
  }
});

Deno.test("hotReset() forgets the host, and the machine with it", async () => {
  await using rig = await ready();
  rig.download();
  rig.bootSignal();
  rig.host.link.forget();
  await rig.bootstrap.hotReset();
  assertEquals(rig.host.endpoint.configRead(0x04, 2), 0);
  assertEquals(rig.machines.map((machine) => machine.disposals), [1, 0]);
  assertEquals(rig.host.link.posted.filter((p) => "write" in p), []);
  rig.host.link.forget();
  rig.host.setUp();
  assertEquals(rig.host.read32(BLOCK + REGISTERS.host_page_low.at), 0);
  // The next host has not said where its page is: what the last one had is not written to.
  await rig.reset();
  assertEquals(rig.host.link.posted.filter((p) => "write" in p), []);
  rig.download();
  rig.bootSignal();
  assertEquals(rig.publishedState, "online");
});

Deno.test("hotReset() while resetting goes on with the machine that is being made", async () => {
  await using rig = await ready();
  rig.host.writeRegister("reset", 1);
  const done = rig.bootstrap.hotReset();
  rig.host.setUp();
  assertEquals(rig.host.readRegister("reset"), 1);
  await done;
  assertEquals(rig.bootstrap.state, "ready");
  assertEquals([rig.machines.length, rig.host.readRegister("reset")], [2, 0]);
});

Deno.test("disposing waits for a machine under way, and disposes it", async () => {
  const rig = new BootRig();
  const made = Promise.withResolvers<void>();
  rig.makeMachine = async (machine) => (await made.promise, machine);
  const ready = rig.bootstrap.powerOn();
  const disposed = rig[Symbol.asyncDispose]();
  made.resolve();
  await Promise.all([ready, disposed]);
  assertEquals(rig.machine.disposals, 1);
});
