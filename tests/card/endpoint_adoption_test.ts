// The bootstrap between two hosts: what a card that runs shows of itself, and what becomes of it.
import { assertEquals } from "@std/assert";
import { postText, viewOf } from "../../protocol/mod.ts";
import { BootRig } from "../support/boot_rig.ts";

const ADOPT = 0x20e6;
const ADOPTABLE = 2;

/** A card without devices whose OS runs. */
async function online(): Promise<BootRig> {
  const rig = new BootRig();
  await rig.bootstrap.powerOn();
  rig.download();
  rig.bootSignal();
  assertEquals(rig.publishedState, "online");
  return rig;
}

/** Events of the card OS and its hosts, in order. */
const told = (rig: BootRig): string[] =>
  rig.events.flatMap(({ type }) =>
    type === "parked" || type === "adopted" || type === "machine_stopped" ? [type] : []
  );

Deno.test("park() keeps a card OS that is online, and forgets what the host has set up", async () => {
  await using rig = await online();
  assertEquals(rig.bootstrap.park(), true);
  assertEquals(rig.host.endpoint.configRead(4, 2), 0);
  rig.host.setUp();
  assertEquals(rig.host.readRegister("download_info"), ADOPTABLE);
  assertEquals([rig.host.readRegister("platform"), rig.host.readRegister("host_page_high")], [
    2,
    0,
  ]);
  assertEquals(postText(rig.host.readRegister("post_code")), "FF");
  assertEquals([rig.machines.length, rig.bootstrap.state], [1, "online"]);
  // A host that looked and went away again.
  assertEquals(rig.bootstrap.park(), true);
  rig.host.setUp();
  assertEquals(rig.host.readRegister("download_info"), ADOPTABLE);
});

Deno.test("park() does nothing while no card OS is online", async () => {
  await using rig = new BootRig();
  await rig.bootstrap.powerOn();
  assertEquals(rig.bootstrap.park(), false);
  assertEquals(rig.host.readRegister("download_info"), 0x10_0001);
});

Deno.test("the adopt signal says online in the host page that is there now, once", async () => {
  await using rig = await online();
  rig.bootstrap.park();
  rig.host.setUp();
  rig.host.link.forget();
  rig.writeHostPage();
  assertEquals(rig.publishedState, "resetting");
  rig.host.writeRegister("boot", ADOPT);
  assertEquals([rig.publishedState, rig.host.link.interrupts.at(-1)], ["online", 0]);
  assertEquals(rig.host.readRegister("download_info"), 0);
  rig.host.writeRegister("boot", ADOPT);
  assertEquals(told(rig), ["parked", "adopted"]);
  assertEquals(rig.machines.length, 1);
});

Deno.test("the adopt signal sets the card's clock to the host's", async () => {
  await using rig = await online();
  rig.bootstrap.park();
  rig.host.setUp();
  rig.writeHostPage();
  const time = new Uint8Array(12);
  viewOf(time).setBigUint64(0, 1_700_000_000n, true);
  viewOf(time).setUint32(8, 999_000_000, true);
  rig.writePage(48, time);
  assertEquals(rig.machine.clock, []);
  rig.host.writeRegister("boot", ADOPT);
  assertEquals(rig.machine.clock, [1_700_000_000_999]);
});

Deno.test("the adopt signal means nothing to a card whose host is there", async () => {
  await using rig = await online();
  rig.host.link.forget();
  rig.host.writeRegister("boot", ADOPT);
  assertEquals([told(rig), rig.host.link.posted], [[], []]);
});

Deno.test("a card OS that stops without a host is not adopted, and the host is told", async () => {
  await using rig = await online();
  rig.bootstrap.park();
  rig.host.setUp();
  rig.writeHostPage();
  rig.machine.events!.stopped("poweroff", "");
  assertEquals(rig.host.readRegister("download_info"), ADOPTABLE);
  rig.host.link.forget();
  rig.host.writeRegister("boot", ADOPT);
  assertEquals([rig.publishedState, rig.hostHeader.shutdown_reason], ["stopped", 3]);
  assertEquals(rig.host.readRegister("download_info"), 0);
  assertEquals(told(rig), ["parked", "machine_stopped"]);
});

Deno.test("a host may reset a card OS that waits for one", async () => {
  await using rig = await online();
  rig.bootstrap.park();
  rig.host.setUp();
  rig.writeHostPage();
  await rig.reset();
  assertEquals(rig.host.readRegister("download_info"), 0x10_0001);
  assertEquals([rig.machines.length, rig.publishedState], [2, "ready"]);
  rig.host.writeRegister("boot", ADOPT);
  assertEquals(told(rig), ["parked"]);
});
