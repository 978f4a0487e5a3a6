/**
 * The diagnostic OS: a small operating system in TypeScript that drives the card's devices as Linux does, by ports,
 * rings and interrupts, and nothing else. It is the test driver of everything below it and the load generator of the
 * benchmarks.
 *
 * @module
 */
import {
  DeviceError,
  postCode,
  type ShutdownReason,
  virtioBlock,
  virtioConsole,
  virtioNet,
  virtioPci,
} from "../../../../protocol/mod.ts";
import { type Board, POST_PORT, SERIAL_PORT } from "../board.ts";
import { BlockDriver } from "./block.ts";
import { ConsoleDriver } from "./console.ts";
import type { ConsolePort } from "./console_port.ts";
import { Disk } from "./disk.ts";
import { ExecServer } from "./exec.ts";
import { Heap } from "./heap.ts";
import { NetInterface } from "./interface.ts";
import { within } from "./ip/within.ts";
import { parseIpSetting } from "./ip_option.ts";
import { enumerate, type PciDevice } from "./pci.ts";
import { Terminal } from "./terminal.ts";
import { DIAG_VERSION } from "./version.ts";
import { VirtioTransport } from "./virtio.ts";

export type { NetInterface } from "./interface.ts";

/** Page 0 is left alone, so that address 0 is never a buffer. */
const HEAP_START = 4096;
/** Milliseconds that commands have to end when the system goes down. */
const COMMANDS_END_MS = 1000;
/** POST codes: loading, up; and how it ended, as the Linux card writes them too. */
const POST = { start: "50", up: "FF", poweroff: "PO", halted: "HA", restart: "RS" } as const;

export class DiagOs {
  readonly board: Board;
  readonly heap: Heap;
  readonly cmdline: string;
  readonly pci: PciDevice[] = [];
  readonly transports: VirtioTransport[] = [];
  readonly disks: Disk[] = [];
  readonly interfaces: NetInterface[] = [];
  /** What went wrong with a device, a line each; said on the serial port too. */
  readonly log: string[] = [];
  /** Resolves when all drivers are bound. Rejects if the OS stops before. */
  readonly ready: Promise<void>;
  readonly #consoles: ConsoleDriver[] = [];
  readonly #stopping = new AbortController();
  readonly #tasks = new Set<Promise<void>>();
  #shutdown: Promise<void> | undefined;

  /** Starts it. `cmdline` has the start-up options: words, `name` or `name=value`, the last one of a name wins. */
  constructor(board: Board, cmdline: string) {
    this.board = board;
    this.heap = new Heap(board.memory, HEAP_START);
    this.cmdline = cmdline;
    this.ready = this.#boot();
    this.ready.catch((error) => {
      if (!this.signal.aborted) board.stop("crashed", String(error));
    });
  }

  /** Aborted when the OS stops: whatever runs in it ends then. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** The first disk. @throws {TypeError} if there is none */
  get disk(): Disk {
    const disk = this.disks[0];
    if (!disk) throw new TypeError("Cannot use disk: the card has none");
    return disk;
  }

  /** The first network interface. @throws {TypeError} if there is none */
  get net(): NetInterface {
    const net = this.interfaces[0];
    if (!net) throw new TypeError("Cannot use network: the card has none");
    return net;
  }

  /** Runs a task of the OS; what it throws while the OS runs is a crash. */
  run(task: () => Promise<void>): void {
    const running: Promise<void> = task()
      .catch((error) => {
        // A device that broke takes its users with it, not the system.
        if (this.signal.aborted || error instanceof DeviceError) return;
        this.board.stop("crashed", String(error));
      })
      .finally(() => this.#tasks.delete(running));
    this.#tasks.add(running);
  }

  /** Stops in good order: ends commands, flushes disks, powers off. Once; later calls do nothing. */
  shutdown(reason: ShutdownReason, why: string): void {
    this.#shutdown ??= this.#stop(reason, why);
  }

  /** Power lost: ends everything at once and waits until it has. */
  async destroy(): Promise<void> {
    this.#end();
    await this.ready.catch(() => {});
    await Promise.allSettled([...this.#tasks]);
    await this.#shutdown;
  }

  async #stop(reason: ShutdownReason, why: string): Promise<void> {
    this.#stopping.abort(new Error(`The system is going down: ${why}`));
    // One that writes to a console nobody reads does not end.
    const ended = Promise.allSettled([...this.#tasks]);
    const late = () => new Error("Commands did not end");
    await within(ended, COMMANDS_END_MS, late, new AbortController().signal).catch(() => {});
    for (const disk of this.disks) {
      // A disk that fails to flush has said so to whoever wrote; the system goes down all the same.
      await disk.flush().catch(() => {});
    }
    if (reason in POST) this.#post(POST[reason as keyof typeof POST]);
    this.board.stop(reason, why);
    this.#end();
  }

  #end(): void {
    this.#stopping.abort(new Error("The system stopped"));
    const gone = new DeviceError("The system stopped");
    for (const { driver } of this.disks) driver.failed(gone);
    for (const console of this.#consoles) console.failed(gone);
  }

  async #boot(): Promise<void> {
    // Not within the machine's boot(): what it calls has to be told first.
    await Promise.resolve();
    this.#post(POST.start);
    this.pci.push(...enumerate(this.board));
    for (const device of this.pci) {
      if (device.vendor !== virtioPci.VENDOR_ID || device.device < virtioPci.DEVICE_ID_BASE) {
        continue;
      }
      try {
        const transport = new VirtioTransport(this.board, this.heap, device);
        this.transports.push(transport);
        await this.#bind(transport);
      } catch (error) {
        if (!(error instanceof DeviceError)) throw error;
        this.#log(error.message);
      }
    }
    await this.#configureNetwork();
    this.#post(POST.up);
  }

  async #bind(transport: VirtioTransport): Promise<void> {
    const { board, heap, signal } = this;
    if (transport.type === virtioBlock.TYPE) {
      const driver = await BlockDriver.open(board, heap, transport, signal);
      this.disks.push(new Disk(diskName(this.disks.length), driver, board, heap));
    } else if (transport.type === virtioNet.TYPE) {
      const name = `eth${this.interfaces.length}`;
      this.interfaces.push(await NetInterface.open(name, board, heap, transport, signal));
    } else if (transport.type === virtioConsole.TYPE) {
      const exec = new ExecServer(this);
      const portFound = (port: ConsolePort) => {
        if (exec.offer(port)) return true;
        if (port.console) this.#login(port);
        return port.console;
      };
      this.#consoles.push(
        await ConsoleDriver.open(board, heap, transport, { portFound }, signal),
      );
    }
  }

  #login(port: ConsolePort): void {
    const terminal = new Terminal(port, this);
    // Its first words come when there is something to ask for.
    this.run(async () => {
      await this.ready;
      terminal.start(`\nknightsbridge diag ${DIAG_VERSION}, try help\n`);
    });
  }

  async #configureNetwork(): Promise<void> {
    const option = this.cmdline.split(/\s+/).findLast((word) => word.startsWith("ip="));
    const setting = option && parseIpSetting(option.slice("ip=".length));
    const net = this.interfaces[0];
    if (!setting || !net) return;
    // Without an address everything else still works, so nobody waits for a DHCP server.
    const configured = net.configure(setting, this.signal).catch((error) => {
      this.#log(`${net.name}: ${error.message}`);
    });
    if (setting === "dhcp") this.run(() => configured);
    else await configured;
  }

  #log(line: string): void {
    this.log.push(line);
    for (const byte of new TextEncoder().encode(`${line}\r\n`)) {
      this.board.out(SERIAL_PORT, 1, byte);
    }
  }

  #post(code: string): void {
    this.board.out(POST_PORT, 2, postCode(code));
  }
}

/** As Linux counts them: vda to vdz, vdaa and on. */
function diskName(index: number): string {
  const letter = String.fromCharCode(0x61 + index % 26);
  return `vd${index < 26 ? "" : "a"}${letter}`;
}
