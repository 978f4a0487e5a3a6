/**
 * From what was asked for on the command line to the card's devices: backends opened, devices made, in the order of
 * their slots (disks, network, console).
 *
 * @module
 */
import { EXEC_PORT } from "../../protocol/mod.ts";
import { openConsole, parseConsole } from "../backends/open_console.ts";
import { openDisk, parseDisk } from "../backends/open_disk.ts";
import type { Hubs } from "../backends/hub/hubs.ts";
import { openNet, parseNet } from "../backends/open_net.ts";
import { BootLog } from "../console/boot_log.ts";
import { ConsoleHub } from "../console/hub.ts";
import { BlockDevice } from "../devices/block.ts";
import { ConsoleDevice, type PortOptions } from "../devices/console.ts";
import { NetDevice } from "../devices/net.ts";
import type { VirtioDevice } from "../driver/virtio_device.ts";
import { type CardAddress, defaultAddress, stableMac } from "./addresses.ts";
import { ExecChannel } from "./exec.ts";

export interface DeviceChoices {
  /** `PATH`, `PATH,readonly`, `mem:SIZE` or an NBD URI, in the order of their names in the card: vda, vdb, ... */
  readonly disks: readonly string[];
  /** `tap:NAME`, `hub:NAME`, `passt` or `none`. */
  readonly net: string;
  /** Where the console goes; several share it. */
  readonly consoles: readonly string[];
  /** The card's address; the default fits the network. */
  readonly address: CardAddress | undefined;
  /** Name of the card: `mic0`. */
  readonly name: string;
  /** 0 for mic0: its default address comes of it. 0 when left out. */
  readonly number?: number;
  /** Where a `hub:NAME` is. */
  readonly hubs?: Hubs;
  /** May this process configure interfaces? Then the host's end of a TAP gets its address. */
  readonly configureTap: boolean;
  /** Consoles may listen beyond loopback. */
  readonly insecure: boolean;
  /** Folder for a log of what the console shows in each boot; none is kept without it. */
  readonly consoleLogs?: string;
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
  /** Everybody who sees the card's console, and may type. */
  readonly console: ConsoleHub;
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
    address = choices.address ?? defaultAddress(net.kind, choices.number ?? 0);
    const host = address === "dhcp" ? undefined : address.host;
    const network = net.kind === "tap" && choices.configureTap && address !== "dhcp" &&
        host !== undefined
      ? { network: { address: host, prefix: address.prefix } }
      : {};
    const hubs = choices.hubs && { hubs: choices.hubs };
    const mac = stableMac(await machineId(), choices.name);
    const given = { mac, card: choices.name, report: hooks.report, ...hubs, ...network };
    add(new NetDevice(await openNet(net, given)));
  }
  const exec = new ExecChannel();
  const hub = await openConsoles(choices, hooks);
  const ports: PortOptions[] = [
    { backend: hub },
    { name: EXEC_PORT.in, backend: exec.in },
    { name: EXEC_PORT.out, backend: exec.out },
    { name: EXEC_PORT.err, backend: exec.err },
  ];
  add(new ConsoleDevice(ports, { onError: hooks.report }));
  const kept = opened.move();
  return {
    devices,
    exec,
    console: hub,
    address,
    consoles: [hub.name],
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** What port 0 is bound to, with a viewer for each choice; none stays open if one of them cannot be had. */
async function openConsoles(choices: DeviceChoices, hooks: DeviceHooks): Promise<ConsoleHub> {
  const { name, consoles, consoleLogs, insecure } = choices;
  await using opened = new AsyncDisposableStack();
  const { report } = hooks;
  const log = consoleLogs === undefined ? {} : {
    log: new BootLog({ folder: consoleLogs, report }),
  };
  const hub = opened.use(new ConsoleHub({ name, ...log }));
  for (const text of consoles) {
    const choice = parseConsole(text);
    const backend = await openConsole(choice, { ...hooks, insecure });
    // The host's own terminal has the keyboard from the start.
    const keyboard = choice.kind === "stdio" ? { keyboard: "asks" } as const : {};
    hub.attach(backend, { use: "typing", ...keyboard });
  }
  opened.move(); // it is the device's from here on
  return hub;
}

/** What tells this machine from others; empty where the system has no such file. */
async function machineId(): Promise<string> {
  return await Deno.readTextFile("/etc/machine-id").catch(() => "");
}
