/**
 * Commands that show things: the bus, the terminal, the system.
 *
 * @module
 */
import type { DiagOs } from "../os.ts";
import type { PciDevice } from "../pci.ts";
import { DIAG_VERSION } from "../version.ts";
import { type Command, UsageError } from "./types.ts";

const CLASSES: Readonly<Record<number, string>> = {
  0x0100: "SCSI storage controller",
  0x0200: "Ethernet controller",
  0x0780: "Communication controller",
};
const VIRTIO_TYPES: Readonly<Record<number, string>> = {
  1: "Virtio network device",
  2: "Virtio block device",
  3: "Virtio console",
};

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

export const lspci: Command = {
  usage: "[-v]",
  summary: "list PCI functions; -v with resources and virtio state",
  async run(args, io, os) {
    if (args.some((arg) => arg !== "-v")) throw new UsageError(`Cannot use '${args.join(" ")}'`);
    for (const device of os.pci) {
      await io.out(describe(device) + "\n");
      if (args.includes("-v")) await io.out(details(device, os));
    }
    return 0;
  },
};

function describe(device: PciDevice): string {
  const kind = CLASSES[device.class] ?? "Unclassified device";
  const type = VIRTIO_TYPES[device.device - 0x1040] ?? "device";
  return `00:${hex(device.slot, 2)}.0 ${kind} [${hex(device.class, 4)}]: ${type} ` +
    `[${hex(device.vendor, 4)}:${hex(device.device, 4)}] (rev ${hex(device.revision, 2)})`;
}

function details(device: PciDevice, os: DiagOs): string {
  const lines = [
    `IRQ ${device.interrupt}`,
    `I/O ports at ${hex(device.port, 4)} [size=${device.barSize}]`,
  ];
  const transport = os.transports.find(({ pci }) => pci === device);
  if (transport) {
    lines.push(
      `Virtio features: ${hexFeatures(transport.features)}`,
      `Virtio queues: ${transport.queueCount()}, status: ${hex(transport.status, 2)}`,
    );
  }
  return lines.map((line) => `\t${line}\n`).join("");
}

const hexFeatures = (features: bigint) => "0x" + features.toString(16);

export const uname: Command = {
  usage: "[-a]",
  summary: "name and version of this system",
  async run(args, io) {
    const all = args.includes("-a") ? ` diag ${DIAG_VERSION} TypeScript` : "";
    await io.out(`knightsbridge-diag${all}\n`);
    return 0;
  },
};

export const echo: Command = {
  usage: "[-n] [WORD...]",
  summary: "print the words",
  async run(args, io) {
    const bare = args[0] === "-n";
    await io.out((bare ? args.slice(1) : args).join(" ") + (bare ? "" : "\n"));
    return 0;
  },
};

/** Characters that seq prints at once. */
const SEQ_PIECE = 32_768;

export const seq: Command = {
  usage: "LAST",
  summary: "print the numbers from 1 to LAST, a line each",
  async run([word, ...rest], io) {
    const last = Number(word);
    if (!Number.isSafeInteger(last) || rest.length > 0) {
      throw new UsageError(`Cannot count to '${word}'`);
    }
    let text = "";
    for (let number = 1; number <= last; number++) {
      text += `${number}\n`;
      if (text.length < SEQ_PIECE && number < last) continue;
      io.signal.throwIfAborted();
      await io.out(text);
      text = "";
    }
    return 0;
  },
};

export const stty: Command = {
  usage: "size",
  summary: "rows and columns of the terminal",
  async run(args, io) {
    if (args.length !== 1 || args[0] !== "size") throw new UsageError("Cannot set terminal modes");
    await io.out(`${io.rows} ${io.columns}\n`);
    return 0;
  },
};

const FILES: Readonly<Record<string, (os: DiagOs) => string>> = {
  cmdline: (os) => os.cmdline + "\n",
  log: (os) => os.log.map((line) => line + "\n").join(""),
  meminfo: (os) => {
    const total = os.board.memory.length;
    return `MemTotal: ${total / 1024} kB\nMemFree: ${Math.floor(os.heap.available / 1024)} kB\n`;
  },
  interrupts: (os) =>
    os.transports.map((t) => `${t.pci.interrupt}: ${t.interrupts} slot ${t.pci.slot}\n`).join(""),
  netdev: (os) =>
    os.interfaces.map(({ name, driver: { counters } }) =>
      `${name}: received ${counters.received} sent ${counters.sent} dropped ${counters.dropped}\n`
    ).join(""),
};

export const cat: Command = {
  usage: Object.keys(FILES).join("|"),
  summary: "print what the system knows",
  async run(args, io, os) {
    for (const arg of args) {
      const file = FILES[arg.replace(/^\/proc\//, "")];
      if (!file) throw new UsageError(`Cannot open '${arg}': wanted ${Object.keys(FILES)}`);
      await io.out(file(os));
    }
    return 0;
  },
};
