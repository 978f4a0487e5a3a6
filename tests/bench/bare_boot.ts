/**
 * How long Linux takes to boot on the emulated CPU alone: no host, no link, no bridge. This is what booting behind the
 * bridge is measured against, so it takes the same kernel, initrd, command line and disk.
 *
 *     deno run --allow-read --allow-net=127.0.0.1 tests/bench/bare_boot.ts \
 *       --kernel vmlinux --initrd initrd.img --disk root.img --cmdline "console=ttyS0 root=/dev/vda" --until "text"
 *
 * Prints milliseconds from the start of the process, and of the CPU, until the text was on the first serial port.
 *
 * @module
 */
import { v86Machine } from "../../card/machine/v86/machine.ts";
import type { Machine } from "../../card/machine/types.ts";
import { CommandError, EXIT, parseOptions, runMain } from "../../scripts/cli/mod.ts";
import { LocalDisk } from "./local_disk.ts";

const MIB = 0x10_0000;
const PAGE = 4096;

const COMMAND = {
  name: "bare_boot.ts",
  about: "Boots Linux on v86 with no bridge, and prints how long that takes.",
  options: {
    kernel: { kind: "text", value: "FILE", help: "Kernel: vmlinux (ELF) or bzImage." },
    initrd: { kind: "text", value: "FILE", help: "Initial file system." },
    cmdline: { kind: "text", value: "TEXT", help: "Kernel command line." },
    until: {
      kind: "text",
      value: "TEXT",
      help: "What the first serial port is to say at the end.",
    },
    disk: { kind: "text", value: "FILE", help: "Image of /dev/vda; writes to it are forgotten." },
    memory: { kind: "text", value: "MIB", help: "Memory in MiB (128)." },
    log: { kind: "flag", help: "Copy the serial port to stderr." },
  },
} as const;

await runMain(COMMAND.name, async () => {
  const options = parseOptions(COMMAND, Deno.args);
  if (options === undefined) return EXIT.ok;
  const { kernel, initrd, cmdline = "", until, disk, memory = "128" } = options;
  if (kernel === undefined || until === undefined) {
    throw new CommandError(EXIT.usage, "Cannot boot: --kernel and --until are needed");
  }
  await using machine = await v86Machine({ memoryBytes: Number(memory) * MIB });
  using local = disk === undefined ? undefined : new LocalDisk(machine.memory, disk);
  if (local) local.function.connect(machine.plug(local.function));

  const kernelPart = put(machine, machine.loadAddress, await Deno.readFile(kernel));
  const behind = Math.ceil((kernelPart.address + kernelPart.length) / PAGE) * PAGE;
  const initrdPart = initrd === undefined
    ? undefined
    : put(machine, behind, await Deno.readFile(initrd));

  const seen = Promise.withResolvers<void>();
  let tail = "";
  const start = performance.now();
  machine.boot({ kernel: kernelPart, initrd: initrdPart, cmdline }, {
    stopped: (reason, detail) => {
      seen.reject(new CommandError(EXIT.boot, `Cannot see "${until}": ${reason}, ${detail}`));
    },
    postCode: () => {},
    onSerial(byte) {
      if (options.log) Deno.stderr.writeSync(new Uint8Array([byte]));
      tail = (tail + String.fromCharCode(byte)).slice(-until.length);
      if (tail === until) seen.resolve();
    },
  });
  await seen.promise;
  const end = performance.now();
  console.log(`process_ms ${end.toFixed(0)}`);
  console.log(`boot_ms ${(end - start).toFixed(0)}`);
  return EXIT.ok;
});

function put(machine: Machine, address: number, file: Uint8Array) {
  machine.memory.bytes().set(file, address);
  machine.memory.written(address, address + file.length);
  return { address, length: file.length };
}
