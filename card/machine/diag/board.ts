/**
 * The board of the diag machine, as its OS sees it: memory, I/O ports, interrupts, and the power switch. Everything
 * the OS knows of its devices comes through here.
 *
 * Interrupts are level-triggered and taken between two pieces of OS code (in a microtask), never inside one: a device
 * that completes a request within the notification write does not re-enter the driver that wrote it.
 *
 * @module
 */
import type { ShutdownReason } from "../../../protocol/mod.ts";
import type { InterruptLine, MachineEvents, PciFunction } from "../types.ts";
import { PciBus } from "./pci_bus.ts";

/** Where the OS says how far it got: 16 bits, two characters, low byte first. */
export const POST_PORT = 0x280;
/** Data register of the first serial port: a byte written there is sent at once. */
export const SERIAL_PORT = 0x3f8;

export class Board {
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly #bus: PciBus;
  readonly #asserted = new Set<number>();
  readonly #handlers = new Map<number, () => void>();
  #events: MachineEvents | undefined;
  #delivering = false;
  #stopped = false;

  constructor(memoryBytes: number) {
    const buffer = new ArrayBuffer(memoryBytes);
    this.memory = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.#bus = new PciBus((number, asserted) => {
      if (!asserted) this.#asserted.delete(number);
      else {
        this.#asserted.add(number);
        this.#deliver();
      }
    });
  }

  plug(device: PciFunction): InterruptLine {
    return this.#bus.plug(device);
  }

  unplug(device: PciFunction): void {
    this.#bus.unplug(device);
  }

  /** Power on: `events` hears of POST codes, serial output and the stop from now on. */
  start(events: MachineEvents): void {
    this.#events = events;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  in(port: number, width: 1 | 2 | 4): number {
    return this.#bus.read(port, width);
  }

  out(port: number, width: 1 | 2 | 4, value: number): void {
    if (this.#stopped) return;
    if (port === POST_PORT) this.#events?.postCode(value & (width === 1 ? 0xff : 0xffff));
    else if (port === SERIAL_PORT) this.#events?.onSerial?.(value & 0xff);
    else this.#bus.write(port, width, value);
  }

  /** Sets the handler of an interrupt number; it must make the device lower its line. */
  onInterrupt(number: number, handler: () => void): void {
    this.#handlers.set(number, handler);
    if (this.#asserted.has(number)) this.#deliver();
  }

  /** Stops the CPU for good: no port write and no interrupt gets through any more. */
  stop(reason: ShutdownReason, detail: string): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#events?.stopped(reason, detail);
  }

  /** Nothing gets through any more, and nobody is told: power off without a word, or an OS that hangs. */
  cut(): void {
    this.#stopped = true;
  }

  #deliver(): void {
    if (this.#delivering || this.#stopped) return;
    this.#delivering = true;
    queueMicrotask(() => {
      this.#delivering = false;
      for (const number of [...this.#asserted]) {
        if (this.#stopped) return;
        const handler = this.#handlers.get(number);
        if (!handler || !this.#asserted.has(number)) continue;
        try {
          handler();
        } catch (error) {
          return this.stop("crashed", `interrupt ${number}: ${String(error)}`);
        }
        if (this.#asserted.has(number)) this.#deliver();
      }
    });
  }
}
