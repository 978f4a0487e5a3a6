// The host driver and a card that runs: adopt, or reset.
import { assertEquals } from "@std/assert";
import { AttachedDevice } from "../../host/driver/attached_device.ts";
import { HostDriver } from "../../host/driver/host_driver.ts";
import { RootPort } from "../../host/driver/root_port.ts";
import { le16, le32, page, REGISTERS, viewOf } from "../../protocol/mod.ts";
import { FakeCard } from "../support/fake_card.ts";
import { FakeDevice } from "../support/fake_device.ts";

const ADOPT = 0x20e6;
const ADOPTABLE = 2;

/** A driver on a card that waits for adoption; what the signal register got, and states as they came. */
function found(onSignal: (card: FakeCard) => void, resetTimeout = 60_000) {
  const root = new RootPort();
  const card = new FakeCard(root);
  le32.set(card.registerView, REGISTERS.download_info.at, ADOPTABLE);
  const device = new FakeDevice();
  const signals: number[] = [];
  let resets = 0;
  card.onBoot = () => {
    signals.push(le32.get(card.registerView, REGISTERS.boot.at));
    onSignal(card);
  };
  card.onReset = () => {
    resets++;
    card.becomeReady();
  };
  const states: string[] = [];
  const driver = HostDriver.attach({
    requester: card.requester,
    rootPort: root,
    devices: [new AttachedDevice(device)],
    onEvent: (event) => {
      if (event.type === "state") states.push(event.state);
    },
    resetTimeout,
  });
  return { root, card, device, driver, signals, states, resets: () => resets };
}

Deno.test("HostDriver.probe() adopts a card OS that runs: devices published, online without a boot", async () => {
  const { card, device, driver, signals, states, resets } = found((card) => {
    // What the card finds when the signal comes.
    assertEquals(le16.get(viewOf(card.page), page.slotOffset(0)), 2);
    card.report("online");
  });
  const info = await driver.probe({ adopt: true });
  assertEquals([info.platform, driver.state, resets()], ["diag", "online", 0]);
  assertEquals([signals, states], [[ADOPT], ["online"]]);
  assertEquals(device.calls, []);
  // And stops as one that was booted.
  card.report("stopped", "poweroff");
  assertEquals(await driver.waitForStop(), { reason: "poweroff", asked: false });
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.probe() tells a device that its driver was served before", async () => {
  const { device, driver } = found((card) => {
    const row = new Uint8Array(page.HOST_SLOT.size);
    page.HOST_SLOT.write(viewOf(row), {
      status: 15,
      reset_request: 0,
      features_accepted: 0x1_0000_0000n,
      fault: 0,
      fault_queue: 0,
      adopted: 1,
      plug: 0,
    });
    card.write(card.hostPage + page.slotOffset(0), row);
    card.report("online");
    card.interrupt(1);
  });
  await driver.probe({ adopt: true });
  assertEquals([device.calls, device.session!.adopted], [["start"], true]);
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.probe() resets a card OS that runs, unless it was told to adopt", async () => {
  const { driver, signals, states, resets } = found(() => {});
  await driver.probe();
  assertEquals([signals, states, resets()], [[], ["ready"], 1]);
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.probe() resets a card whose OS has stopped by the time of the signal", async () => {
  const { driver, root, states, resets } = found((card) => card.report("stopped", "halted"));
  await driver.probe({ adopt: true });
  assertEquals([states, resets()], [["ready"], 1]);
  // Nothing but the host page is left mapped.
  assertEquals(root.memory.regions, 1);
  await driver[Symbol.asyncDispose]();
});

Deno.test("HostDriver.probe() resets a card that does not answer the signal", async () => {
  const { driver, states, resets } = found(() => {}, 1);
  await driver.probe({ adopt: true });
  assertEquals([states, resets()], [["ready"], 1]);
  await driver[Symbol.asyncDispose]();
});
