import { assert, assertEquals, assertRejects } from "@std/assert";
import { type DeviceChoices, openDevices } from "../../host/control/open_devices.ts";
import { BackendError, virtioBlock, virtioConsole, virtioNet } from "../../protocol/mod.ts";

const CHOICES: DeviceChoices = {
  disks: [],
  net: "none",
  consoles: ["none"],
  address: undefined,
  name: "mic0",
  configureTap: false,
  insecure: false,
};
const HOOKS = { detach() {}, report() {} };

/** An empty disk image. */
async function image() {
  const path = await Deno.makeTempFile({ suffix: ".img" });
  await Deno.truncate(path, 4096);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path) };
}

Deno.test("openDevices() makes disks in their order, then the console", async () => {
  await using file = await image();
  await using opened = await openDevices(
    { ...CHOICES, disks: [`${file.path},readonly`, "mem:1M"] },
    HOOKS,
  );
  const { devices, address, consoles } = opened;
  assertEquals(devices.map((device) => device.type), [
    virtioBlock.TYPE,
    virtioBlock.TYPE,
    virtioConsole.TYPE,
  ]);
  assertEquals(devices.map((device) => device.name), [
    `block ${file.path}`,
    "block mem:1M",
    "console none",
  ]);
  assertEquals((devices[0]!.features & virtioBlock.FEATURE.RO) !== 0n, true);
  assertEquals([address, consoles], [undefined, ["none"]]);
});

Deno.test("openDevices() makes one console of several, with the exec ports beside it", async () => {
  await using file = await image();
  const log = `${file.path}.log`;
  {
    await using opened = await openDevices(
      { ...CHOICES, consoles: ["none", `log:${log}`] },
      HOOKS,
    );
    const console = opened.devices.at(-1)!;
    assertEquals(console.name, `console none+log:${log}`);
    // Four ports and the control queues.
    assertEquals(console.queueSizes.length, 10);
    assertEquals(opened.exec.ports.length, 3);
  }
  await Deno.remove(log);
});

Deno.test("openDevices() closes what it had opened when something cannot be had", async () => {
  await using file = await image();
  const refused = (
    choices: Partial<DeviceChoices>,
    type: typeof BackendError | typeof RangeError,
  ) =>
    assertRejects(() => openDevices({ ...CHOICES, disks: [file.path], ...choices }, HOOKS), type);
  await refused({ disks: [file.path, "/nonexistent/disk"] }, BackendError);
  await refused({ disks: [file.path, "mem:1"] }, RangeError);
  await refused({ net: "passed" }, RangeError);
  await refused({ consoles: ["none", "screen"] }, RangeError);
  await refused({ consoles: ["tcp:127.0.0.1:0", "log:/nonexistent/log"] }, BackendError);
  // The lock is free again.
  await using opened = await openDevices({ ...CHOICES, disks: [file.path] }, HOOKS);
  assert(opened.devices.length === 2);
});

Deno.test("openDevices() has no network, and no address for the card, unless one is chosen", async () => {
  await using opened = await openDevices({ ...CHOICES, address: "dhcp" }, HOOKS);
  assertEquals(opened.devices.some((device) => device.type === virtioNet.TYPE), false);
  assertEquals(opened.address, undefined);
});
