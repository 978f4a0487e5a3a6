/**
 * One Linux card for the benchmarks, in two variants that differ in nothing but the bridge: a card connected to a host,
 * or the same machine booted on the spot with a disk and a network of its own and no host, link or bridge at all. What the card OS
 * writes on its first serial port goes to stdout; the parent takes the time.
 *
 *     linux_child.ts --connect PORT
 *     linux_child.ts --kernel vmlinux --initrd initrd.img --disk root.img --cmdline "console=ttyS0 root=/dev/vda"
 *
 * @module
 */
import { runCard } from "../../card/card.ts";
import { v86Machine } from "../../card/machine/v86/machine.ts";
import type { Machine, MachineEvents, MachineFactory } from "../../card/machine/types.ts";
import { TapBackend } from "../../host/backends/tap.ts";
import { dialTcp } from "../../protocol/mod.ts";
import { CommandError, EXIT, parseOptions, runMain } from "../../scripts/cli/mod.ts";
import { LocalDisk } from "./local_disk.ts";
import { LocalNet } from "./local_net.ts";

const MEMORY_BYTES = 128 * 0x10_0000;
const PAGE = 4096;
const NEWLINE = 0x0a;

const COMMAND = {
  name: "linux_child.ts",
  about: "Runs Linux on v86, with or without the bridge, its serial port on stdout.",
  options: {
    connect: { kind: "text", value: "PORT", help: "Host on 127.0.0.1; without it there is none." },
    kernel: { kind: "text", value: "FILE", help: "Kernel (vmlinux)." },
    initrd: { kind: "text", value: "FILE", help: "Initial file system." },
    cmdline: { kind: "text", value: "TEXT", help: "Kernel command line." },
    disk: { kind: "text", value: "FILE", help: "Image of /dev/vda." },
    tap: { kind: "text", value: "NAME", help: "TAP behind eth0; none without it." },
    gateway: { kind: "text", value: "ADDRESS", help: "The TAP's own, of a network of 256." },
  },
} as const;

interface BareOptions {
  readonly kernel: string;
  readonly initrd: string;
  readonly disk: string;
  readonly cmdline: string;
  readonly net: TapBackend | undefined;
}

await runMain(COMMAND.name, async () => {
  const options = parseOptions(COMMAND, Deno.args);
  if (options === undefined) return EXIT.ok;
  const { connect, kernel, initrd, cmdline = "", disk, tap, gateway } = options;
  if (connect !== undefined) await bridged(Number(connect));
  else if (kernel && initrd && disk) {
    const net = tap !== undefined && gateway !== undefined ? openTap(tap, gateway) : undefined;
    await bare({ kernel, initrd, disk, cmdline, net });
  } else throw new CommandError(EXIT.usage, "Cannot boot: --connect, or kernel, initrd and disk");
  return EXIT.ok;
});

async function bridged(port: number): Promise<void> {
  await runCard({
    dial: (signal) => dialTcp("127.0.0.1", port, signal),
    machine: heard,
    memoryBytes: MEMORY_BYTES,
    identity: crypto.getRandomValues(new Uint8Array(16)),
    signal: new AbortController().signal,
  });
}

/** The machine that `deno task card` makes, but for its serial port. */
async function heard(options: Parameters<MachineFactory>[0]): Promise<Machine> {
  const machine = await v86Machine(options);
  const boot = machine.boot.bind(machine);
  machine.boot = (image, events) => boot(image, { ...forwarded(events), onSerial: toStdout() });
  return machine;
}

function forwarded(events: MachineEvents): MachineEvents {
  return {
    stopped: (reason, detail) => events.stopped(reason, detail),
    postCode: (code) => events.postCode(code),
  };
}

function openTap(tap: string, gateway: string): TapBackend {
  return TapBackend.open(tap, { network: { address: gateway, prefix: 24 } });
}

async function bare({ kernel, initrd, disk, cmdline, net }: BareOptions): Promise<void> {
  await using machine = await v86Machine({ memoryBytes: MEMORY_BYTES });
  await using _net = net;
  using local = new LocalDisk(machine.memory, disk);
  local.function.connect(machine.plug(local.function));
  if (net !== undefined) {
    const device = new LocalNet(machine.memory, net);
    device.function.connect(machine.plug(device.function));
  }
  const kernelPart = put(machine, machine.loadAddress, await Deno.readFile(kernel));
  const behind = Math.ceil((kernelPart.address + kernelPart.length) / PAGE) * PAGE;
  const initrdPart = put(machine, behind, await Deno.readFile(initrd));
  const ended = Promise.withResolvers<void>();
  machine.boot({ kernel: kernelPart, initrd: initrdPart, cmdline }, {
    stopped: () => ended.resolve(),
    postCode: () => {},
    onSerial: toStdout(),
  });
  await ended.promise;
}

function put(machine: Machine, address: number, file: Uint8Array) {
  machine.memory.bytes().set(file, address);
  machine.memory.written(address, address + file.length);
  return { address, length: file.length };
}

/** A line at a time: fewer system calls, and no timer. */
function toStdout(): (byte: number) => void {
  let line: number[] = [];
  return (byte) => {
    line.push(byte);
    if (byte !== NEWLINE) return;
    Deno.stdout.writeSync(new Uint8Array(line));
    line = [];
  };
}
