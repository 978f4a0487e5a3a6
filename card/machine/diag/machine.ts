/**
 * The diag machine: plain memory, a PCI bus, and the built-in diagnostic OS in place of a CPU. Every platform can run
 * it, and what it exercises is exactly what a Linux card does: port accesses, rings, interrupts.
 *
 * @module
 */
import { decodeDiagImage } from "../../../protocol/mod.ts";
import {
  type BootImage,
  BootRefused,
  type CardMemory,
  type InterruptLine,
  type Machine,
  type MachineEvents,
  type PciFunction,
} from "../types.ts";
import { Board } from "./board.ts";
import { DiagOs } from "./os/os.ts";

/** POST code of a kernel that is not what it should be. */
const POST_KERNEL_FORMAT = "KF";
const LOAD_ADDRESS = 0x10_0000;
/** Least memory that an OS with a few devices gets along with, in bytes. */
const MEMORY_MIN = 4 << 20;

export class DiagMachine implements Machine {
  readonly platform = "diag";
  readonly memory: CardMemory;
  readonly loadAddress = LOAD_ADDRESS;
  readonly #board: Board;
  #os: DiagOs | undefined;

  /** @throws {RangeError} for too little memory, in bytes */
  constructor(options: { readonly memoryBytes: number }) {
    const { memoryBytes } = options;
    if (!(memoryBytes >= MEMORY_MIN)) {
      throw new RangeError(
        `Cannot make diag machine: ${memoryBytes} bytes, at least ${MEMORY_MIN}`,
      );
    }
    const board = this.#board = new Board(memoryBytes);
    this.memory = {
      size: memoryBytes,
      bytes: () => board.memory,
      view: () => board.view,
      // No code is compiled from memory.
      written: () => {},
    };
  }

  static make(options: { readonly memoryBytes: number }): Promise<Machine> {
    return Promise.resolve(new DiagMachine(options));
  }

  /** The running OS, for tests and benchmarks. @throws {TypeError} before boot */
  get os(): DiagOs {
    if (!this.#os) throw new TypeError("Cannot use the diagnostic OS: it was not booted");
    return this.#os;
  }

  plug(device: PciFunction): InterruptLine {
    if (this.#os) throw new TypeError(`Cannot plug ${device.name}: the machine runs`);
    return this.#board.plug(device);
  }

  /** The OS drives what it has found at its start; what comes later it only shows. */
  plugHot(device: PciFunction): InterruptLine {
    if (!this.#os) throw new RangeError(`Cannot plug ${device.name}: its OS would keep it`);
    return this.#board.plug(device);
  }

  announceRemoval(_device: PciFunction): void {}

  unplug(device: PciFunction): void {
    this.#board.unplug(device);
  }

  boot(image: BootImage, events: MachineEvents): void {
    if (this.#os) throw new TypeError("Cannot boot: the machine runs");
    const { address, length } = image.kernel;
    const options = decodeDiagImage(this.#board.memory.subarray(address, address + length));
    if (options === undefined) {
      throw new BootRefused(
        POST_KERNEL_FORMAT,
        `Cannot boot: ${length} bytes at ${address} are no diagnostic OS image`,
      );
    }
    this.#board.start(events);
    this.#os = new DiagOs(this.#board, `${options} ${image.cmdline}`.trim());
  }

  alive(): boolean {
    return !this.#board.stopped;
  }

  requestShutdown(): void {
    this.#os?.shutdown("poweroff", "requested");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#board.cut();
    await this.#os?.destroy();
  }
}
