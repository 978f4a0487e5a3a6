/**
 * From what was asked for on the command line to the card's devices: backends opened, devices made, in the order of
 * their slots (disks, network, console).
 *
 * @module
 */
import { EXEC_PORT } from "../../protocol/mod.ts";
import { openConsole, parseConsole } from "../backends/open_console.ts";
import { openDisk, parseDisk } from "../backends/open_disk.ts";
import { openNet, parseNet } from "../backends/open_net.ts";
import { tee } from "../backends/tee.ts";
import type { ConsoleBackend } from "../backends/types.ts";
import { BlockDevice } from "../devices/block.ts";
import { ConsoleDevice, type PortOptions } from "../devices/console.ts";
import { NetDevice } from "../devices/net.ts";
import type { VirtioDevice } from "../driver/virtio_device.ts";
import { type CardAddress, DEFAULT_ADDRESS, stableMac } from "./addresses.ts";
import { ExecChannel } from "./exec.ts";

export interface DeviceChoices {
  /** `PATH`, `PATH,readonly`, `mem:SIZE` or an NBD URI, in the order of their names in the card: vda, vdb, ... */
  readonly disks: readonly string[];
  /** `tap:NAME`, `passt` or `none`. */
  readonly net: string;
  /** Where the console goes; several share it. */
  readonly consoles: readonly string[];
  /** The card's address; the default fits the network. */
  readonly address: CardAddress | undefined;
  /** Name of the card: `mic0`. */
  readonly name: string;
  /** May this process configure interfaces? Then the host's end of a TAP gets its address. */
  readonly configureTap: boolean;
  /** Consoles may listen beyond loopback. */
  readonly insecure: boolean;
}

export interface DeviceHooks {
  /** Ctrl-] was typed on the terminal. */
  detach(): void;
  /** A backend failed after it was opened, or a request on it did. */
  report(error: unknown): void;
}

/** The devices of one card, and what the rest of the host wants to know of them. */
export interface OpenDevices extends AsyncDisposable {
  readonly devices: readonly VirtioDevice[];
  readonly exec: ExecChannel;
  /** What the card is told of its network; undefined without one. */
  readonly address: CardAddress | undefined;
  /** Consoles that somebody must find: `pty /dev/pts/3`. */
  readonly consoles: readonly string[];
}

/** @throws {BackendError | RangeError} naming the choice that cannot be had; what was opened before is closed again */
export async function openDevices(
  choices: DeviceChoices,
  hooks: DeviceHooks,
): Promise<OpenDevices> {
  await using opened = new AsyncDisposableStack();
  const devices: VirtioDevice[] = [];
  const add = <D extends VirtioDevice>(device: D): D => {
    devices.push(opened.use(device));
    return device;
  };
  for (const disk of choices.disks) {
    const backend = await openDisk(parseDisk(disk), hooks.report);
    add(new BlockDevice({ backend, onError: hooks.report }));
  }
  const net = parseNet(choices.net);
  let address: CardAddress | undefined;
  if (net.kind !== "none") {
    address = choices.address ?? (net.kind === "passt" ? "dhcp" : DEFAULT_ADDRESS);
    const host = address === "dhcp" ? undefined : address.host;
    const network = net.kind === "tap" && choices.configureTap && address !== "dhcp" &&
        host !== undefined
      ? { network: { address: host, prefix: address.prefix } }
      : {};
    const mac = stableMac(await machineId(), choices.name);
    add(new NetDevice(await openNet(net, { mac, report: hooks.report, ...network })));
  }
  const exec = new ExecChannel();
  const terminal = await openConsoles(choices, hooks);
  const ports: PortOptions[] = [
    { backend: terminal },
    { name: EXEC_PORT.in, backend: exec.in },
    { name: EXEC_PORT.out, backend: exec.out },
    { name: EXEC_PORT.err, backend: exec.err },
  ];
  add(new ConsoleDevice(ports, { onError: hooks.report }));
  const kept = opened.move();
  return {
    devices,
    exec,
    address,
    consoles: [terminal.name],
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** One backend for port 0, whatever is asked for; none stays open if one of them cannot be had. */
async function openConsoles(choices: DeviceChoices, hooks: DeviceHooks): Promise<ConsoleBackend> {
  await using opened = new AsyncDisposableStack();
  const backends: ConsoleBackend[] = [];
  for (const text of choices.consoles) {
    const { insecure } = choices;
    backends.push(opened.use(await openConsole(parseConsole(text), { ...hooks, insecure })));
  }
  opened.move(); // they are the device's from here on
  return backends.length === 1 ? backends[0]! : tee(backends);
}

/** What tells this machine from others; empty where the system has no such file. */
async function machineId(): Promise<string> {
  return await Deno.readTextFile("/etc/machine-id").catch(() => "");
}
