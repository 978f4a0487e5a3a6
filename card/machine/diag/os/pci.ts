/**
 * PCI in the diagnostic OS: finds functions by configuration mechanism #1, sizes and places their I/O BARs, routes
 * their interrupts (PCI Local Bus 3.0 §3.2.2.3.2 and §6.2.5). What a PC has its firmware for.
 *
 * @module
 */
import {
  BAR_COUNT,
  barAddress,
  barRegister,
  capabilities,
  CAPABILITY,
  PCI_COMMAND,
  PCI_CONFIG_SIZE,
  sizedBar,
  TYPE0_HEADER,
} from "../../../../protocol/mod.ts";
import type { Board } from "../board.ts";
import { BUS_SLOTS, CONFIG_ADDRESS, CONFIG_DATA } from "../pci_bus.ts";

const ENABLE = 0x8000_0000;
const NO_DEVICE = 0xffff;
/** Where BARs are placed, upwards: clear of what is fixed on the board. */
const IO_START = 0x1000;
/** Interrupt number of slot 0; the next ones follow. */
const FIRST_INTERRUPT = 16;

/** A function on the bus, placed and routed. */
export class PciDevice {
  readonly slot: number;
  readonly vendor: number;
  readonly device: number;
  /** Base class << 8 | sub-class. */
  readonly class: number;
  readonly revision: number;
  interrupt = 0;
  /** I/O port of BAR 0, and its bytes; 0 when there is none. */
  port = 0;
  barSize = 0;
  readonly #board: Board;

  constructor(board: Board, slot: number) {
    this.#board = board;
    this.slot = slot;
    const at = TYPE0_HEADER.at;
    this.vendor = this.config(at.vendor_id, 2);
    this.device = this.config(at.device_id, 2);
    this.class = this.config(at.sub_class, 2);
    this.revision = this.config(at.revision_id, 1);
  }

  config(register: number, width: 1 | 2 | 4): number {
    this.#select(register);
    return this.#board.in(CONFIG_DATA + (register & 3), width);
  }

  setConfig(register: number, width: 1 | 2 | 4, value: number): void {
    this.#select(register);
    this.#board.out(CONFIG_DATA + (register & 3), width, value);
  }

  /** All 256 bytes, as they are now. */
  configBytes(): Uint8Array {
    return Uint8Array.from({ length: PCI_CONFIG_SIZE }, (_, at) => this.config(at, 1));
  }

  /** Configuration space offsets of the vendor-specific capabilities. */
  vendorCapabilities(): number[] {
    return capabilities(this.configBytes())
      .filter(({ id }) => id === CAPABILITY.vendor_specific)
      .map(({ at }) => at);
  }

  /** Reads from BAR 0. */
  in(offset: number, width: 1 | 2 | 4): number {
    return this.#board.in(this.port + offset, width);
  }

  out(offset: number, width: 1 | 2 | 4, value: number): void {
    this.#board.out(this.port + offset, width, value);
  }

  #select(register: number): void {
    this.#board.out(CONFIG_ADDRESS, 4, ENABLE | this.slot << 11 | (register & 0xfc));
  }
}

/** Finds every function on the bus, gives each an I/O range and an interrupt number, and turns it on. */
export function enumerate(board: Board): PciDevice[] {
  const found: PciDevice[] = [];
  let nextPort = IO_START;
  for (let slot = 0; slot < BUS_SLOTS; slot++) {
    const device = new PciDevice(board, slot);
    if (device.vendor === NO_DEVICE) continue;
    for (let index = 0; index < BAR_COUNT; index++) {
      device.setConfig(barRegister(index), 4, 0xffff_ffff);
      const bar = sizedBar(index, device.config(barRegister(index), 4));
      if (!bar || bar.kind !== "io") continue;
      // BARs are aligned to their size (§6.2.5.1).
      nextPort = Math.ceil(nextPort / bar.size) * bar.size;
      device.setConfig(barRegister(index), 4, nextPort);
      if (index === 0) {
        device.port = barAddress("io", device.config(barRegister(index), 4));
        device.barSize = bar.size;
      }
      nextPort += bar.size;
    }
    device.interrupt = FIRST_INTERRUPT + slot;
    device.setConfig(TYPE0_HEADER.at.interrupt_line, 1, device.interrupt);
    device.setConfig(TYPE0_HEADER.at.command, 2, PCI_COMMAND.io_space | PCI_COMMAND.bus_master);
    found.push(device);
  }
  return found;
}
