/**
 * The PCI bus of the diag machine: configuration mechanism #1, I/O decoding by BAR 0, INTx to interrupt numbers.
 *
 * A function answers at I/O ports only where software put its BAR and only while the command register lets it; its
 * INTx arrives under the number that software wrote to its interrupt line register.
 *
 * - **Spec:** PCI Local Bus 3.0 §3.2.2.3.2, §6.2.
 *
 * @module
 */
import { barFlags, le32, PCI_COMMAND, TYPE0_HEADER, viewOf } from "../../../protocol/mod.ts";
import { IntxPin } from "../intx.ts";
import { writableBits, writeMasked } from "../pci_writable.ts";
import type { InterruptLine, PciFunction } from "../types.ts";

/** CONFIG_ADDRESS: bit 31 enable, 23:16 bus, 15:11 device, 10:8 function, 7:2 register. CONFIG_DATA: four bytes. */
export const CONFIG_ADDRESS = 0xcf8;
export const CONFIG_DATA = 0xcfc;
/** Devices on the one bus there is. */
export const BUS_SLOTS = 32;

const ENABLE = 0x8000_0000;
/** What a read gets that nobody answers. */
const ALL_ONES = { 1: 0xff, 2: 0xffff, 4: 0xffff_ffff } as const;

interface Slot {
  readonly device: PciFunction;
  readonly view: DataView;
  /** Writable bits of each byte of configuration space. */
  readonly mask: Uint8Array;
  readonly pin: IntxPin;
}

export class PciBus {
  readonly #slots: (Slot | undefined)[] = [];
  readonly #interrupt: (number: number, asserted: boolean) => void;
  #address = 0;

  /** `interrupt` gets every change of a line, under the number it is routed to. */
  constructor(interrupt: (number: number, asserted: boolean) => void) {
    this.#interrupt = interrupt;
  }

  /** Puts a function into the next free slot. @throws {RangeError} if the bus is full */
  plug(device: PciFunction): InterruptLine {
    const free = this.#slots.indexOf(undefined);
    const number = free < 0 ? this.#slots.length : free;
    if (number === BUS_SLOTS) {
      throw new RangeError(`Cannot plug ${device.name}: ${BUS_SLOTS} functions on the bus already`);
    }
    const mask = writableBits(device);
    const view = viewOf(device.pciConfig);
    const bar = { index: 0, kind: "io", prefetchable: false, size: device.barSize } as const;
    le32.set(view, TYPE0_HEADER.at.bar0, barFlags(bar));
    let level = false;
    const pin = new IntxPin(view, {
      set: (asserted) => {
        if (asserted === level) return;
        level = asserted;
        this.#interrupt(device.pciConfig[TYPE0_HEADER.at.interrupt_line]!, asserted);
      },
    });
    this.#slots[number] = { device, view, mask, pin };
    return pin;
  }

  /** Its slot is empty from now on. */
  unplug(device: PciFunction): void {
    const number = this.#slots.findIndex((slot) => slot?.device === device);
    this.#slots[number]?.pin.set(false);
    if (number >= 0) this.#slots[number] = undefined;
  }

  read(port: number, width: 1 | 2 | 4): number {
    if (port === CONFIG_ADDRESS && width === 4) return this.#address;
    const found = this.#configured(port);
    if (found) {
      const { device, view } = found.slot;
      device.configRead?.(view, found.at, width);
      let value = 0;
      for (let i = width - 1; i >= 0; i--) {
        value = value * 256 + (device.pciConfig[found.at + i] ?? 0xff);
      }
      return value;
    }
    const slot = this.#decode(port);
    return slot ? slot.device.read(port - base(slot), width) : ALL_ONES[width];
  }

  write(port: number, width: 1 | 2 | 4, value: number): void {
    if (port === CONFIG_ADDRESS && width === 4) {
      this.#address = value >>> 0;
      return;
    }
    const found = this.#configured(port);
    if (found) {
      const { device, view, mask, pin } = found.slot;
      writeMasked(device.pciConfig, mask, found.at, width, value);
      pin.refresh();
      device.configWrote?.(view, found.at, width);
      return;
    }
    const slot = this.#decode(port);
    slot?.device.write(port - base(slot), width, value);
  }

  /** The configuration register that CONFIG_DATA shows now. */
  #configured(port: number): { readonly slot: Slot; readonly at: number } | undefined {
    if (port < CONFIG_DATA || port >= CONFIG_DATA + 4) return undefined;
    // Bus 0 and function 0 are all there is.
    if (!(this.#address & ENABLE) || this.#address & 0x00ff_0700) return undefined;
    const slot = this.#slots[(this.#address >>> 11) & 0x1f];
    return slot && { slot, at: (this.#address & 0xfc) + port - CONFIG_DATA };
  }

  #decode(port: number): Slot | undefined {
    for (const slot of this.#slots) {
      if (slot === undefined) continue;
      const offset = port - base(slot);
      if (offset >= 0 && offset < slot.device.barSize && decodes(slot)) return slot;
    }
    return undefined;
  }
}

function base(slot: Slot): number {
  const register = le32.get(slot.view, TYPE0_HEADER.at.bar0);
  return register - (register & 3);
}

function decodes(slot: Slot): boolean {
  return (slot.device.pciConfig[TYPE0_HEADER.at.command]! & PCI_COMMAND.io_space) !== 0;
}
