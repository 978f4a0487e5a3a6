/**
 * A machine whose whole operating system is a bridge: what its network device gives goes to a network of this machine,
 * and what comes from there to its device, virtio-net header and all. So programs of this machine sit at both ends of a
 * card's cable.
 *
 * @module
 */
import { Board } from "../../card/machine/diag/board.ts";
import { Heap } from "../../card/machine/diag/os/heap.ts";
import { enumerate } from "../../card/machine/diag/os/pci.ts";
import { VirtioTransport } from "../../card/machine/diag/os/virtio.ts";
import type { CardMemory, Machine, MachineEvents, PciFunction } from "../../card/machine/types.ts";
import type { NetBackend } from "../../host/backends/types.ts";
import { virtioNet, virtioPci } from "../../protocol/mod.ts";
import { FrameDriver } from "./frame_driver.ts";

const NET_DEVICE = virtioPci.DEVICE_ID_BASE + virtioNet.TYPE;
const HEAP_START = 4096;

export interface FrameMachineOptions {
  readonly memoryBytes: number;
  /** What the card's frames go to; stays the caller's. */
  readonly net: NetBackend;
  /** Whether its driver takes the offloads that are offered. */
  readonly offload: boolean;
  /** The driver is up. */
  ready(): void;
}

export class FrameMachine implements Machine {
  readonly platform = "diag";
  readonly memory: CardMemory;
  readonly loadAddress = 0x10_0000;
  readonly #options: FrameMachineOptions;
  readonly #board: Board;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: FrameMachineOptions) {
    this.#options = options;
    const board = this.#board = new Board(options.memoryBytes);
    this.memory = {
      size: options.memoryBytes,
      bytes: () => board.memory,
      view: () => board.view,
      written: () => {},
    };
  }

  plug(device: PciFunction) {
    return this.#board.plug(device);
  }

  plugHot(device: PciFunction) {
    return this.#board.plug(device);
  }

  announceRemoval(): void {}

  unplug(device: PciFunction): void {
    this.#board.unplug(device);
  }

  /** What was downloaded does not matter: the bridge is built in. */
  boot(_image: unknown, events: MachineEvents): void {
    this.#board.start(events);
    this.#running = this.#run();
  }

  alive(): boolean {
    return !this.#board.stopped;
  }

  requestShutdown(): void {
    this.#board.stop("poweroff", "requested");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#board.cut();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { net, offload, ready } = this.#options;
    try {
      const heap = new Heap(this.#board.memory, HEAP_START);
      // Not within boot(): what it calls has to be told first.
      await Promise.resolve();
      const device = enumerate(this.#board).find(({ device }) => device === NET_DEVICE);
      if (device === undefined) throw new TypeError("Cannot bridge: the card has no network");
      const transport = new VirtioTransport(this.#board, heap, device);
      const driver = { board: this.#board, heap, transport, net, offload };
      await FrameDriver.start(driver, this.#stop.signal);
      ready();
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#board.stop("crashed", String(error));
    }
  }
}
