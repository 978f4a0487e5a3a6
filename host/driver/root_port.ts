/**
 * The root port: the host's end of the link, which answers what the card asks for.
 *
 * Memory requests go to the system memory window; messages become interrupts and events. MSI vectors are only marked
 * as they come in and dispatched once in `batchEnd`, when every write of the batch is in place: a batch costs one pass
 * over each device however many interrupts it held, and a handler never sees half of what was announced. A write to
 * device configuration keeps its place among the interrupts: one that follows DRIVER_OK finds the device started.
 *
 * @module
 */
import {
  type Completer,
  MESSAGE,
  MSI_VECTORS,
  UnsupportedRequest,
  type Width,
} from "../../protocol/mod.ts";
import { SystemMemory } from "./system_memory.ts";

/** What the card tells the host by messages. Called while frames are applied: must not throw. */
export interface RootPortEvents {
  postCode(code: number): void;
  /** The driver wrote device configuration space; width 1, 2 or 4 bytes. */
  deviceConfigWrite(slot: number, width: Width, offset: number, value: number): void;
  /** PCI Express PM message code. */
  power?(code: number): void;
}

/** What the root port has seen, for metrics. */
export interface RootPortCounters {
  interrupts: number;
  /** MSI for a vector that nobody handles: the device went away meanwhile. */
  spuriousInterrupts: number;
  /** Posted writes of ours that the card dropped as unsupported requests. */
  errorMessages: number;
}

export class RootPort implements Completer {
  readonly memory: SystemMemory;
  readonly counters: RootPortCounters = { interrupts: 0, spuriousInterrupts: 0, errorMessages: 0 };
  readonly #handlers: ((() => void) | undefined)[] = new Array(MSI_VECTORS).fill(undefined);
  #events: RootPortEvents | undefined;
  /** Bit v: vector v came in since the last dispatch. */
  #pending = 0;

  constructor(memory: SystemMemory = new SystemMemory()) {
    this.memory = memory;
  }

  /** Who hears of messages; undefined for nobody. */
  listen(events: RootPortEvents | undefined): void {
    this.#events = events;
  }

  /** Who handles MSI vector `vector`; undefined for nobody. A handler may post, and must not throw. */
  handle(vector: number, handler: (() => void) | undefined): void {
    if (!(vector >= 0 && vector < MSI_VECTORS)) {
      throw new RangeError(`Cannot handle MSI vector ${vector}: wanted 0 to ${MSI_VECTORS - 1}`);
    }
    this.#handlers[vector] = handler;
  }

  memoryWrite(address: number, bytes: Uint8Array): void {
    this.memory.write(address, bytes);
  }

  memoryRead(address: number, into: Uint8Array): void {
    this.memory.read(address, into);
  }

  configRead(): number {
    throw new UnsupportedRequest("Cannot read configuration space: the host has none for the card");
  }

  configWrite(): void {
    throw new UnsupportedRequest(
      "Cannot write configuration space: the host has none for the card",
    );
  }

  ioRead(port: number): number {
    throw new UnsupportedRequest(`Cannot read I/O port 0x${port.toString(16)}: the host has none`);
  }

  ioWrite(port: number): void {
    throw new UnsupportedRequest(`Cannot write I/O port 0x${port.toString(16)}: the host has none`);
  }

  message(code: number, a: number, b: number): void {
    switch (code) {
      case MESSAGE.msi:
        if (a >= MSI_VECTORS) {
          throw new UnsupportedRequest(
            `Cannot take MSI vector ${a}: the host enabled ${MSI_VECTORS}`,
          );
        }
        this.#pending |= 1 << a;
        return;
      case MESSAGE.power:
        this.#events?.power?.(a);
        return;
      case MESSAGE.error:
        this.counters.errorMessages++;
        return;
      case MESSAGE.post_code:
        this.#events?.postCode(a & 0xffff);
        return;
      case MESSAGE.device_config_write: {
        const slot = a & 0xff;
        const width = (a >>> 8) & 0xff;
        if (width !== 1 && width !== 2 && width !== 4) {
          throw new UnsupportedRequest(
            `Cannot write device configuration: found width ${width}, wanted 1, 2 or 4`,
          );
        }
        this.batchEnd();
        this.#events?.deviceConfigWrite(slot, width, a >>> 16, b);
        return;
      }
      default:
        throw new UnsupportedRequest(`Cannot take message ${code}: unknown code`);
    }
  }

  batchEnd(): void {
    let pending = this.#pending;
    this.#pending = 0;
    while (pending !== 0) {
      const vector = 31 - Math.clz32(pending & -pending);
      pending &= pending - 1;
      const handler = this.#handlers[vector];
      this.counters.interrupts++;
      if (handler === undefined) this.counters.spuriousInterrupts++;
      else handler();
    }
  }
}
