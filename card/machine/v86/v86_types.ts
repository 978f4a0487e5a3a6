/**
 * The parts of the npm package `v86` that the card touches, typed: the emulator object, its CPU, its PCI bus.
 *
 * The package publishes types for its outer API only. What lies beneath is reachable because the build keeps property
 * names; it is not promised to stay. All that this room knows of it is in this one file, and the import map pins the
 * version, so an upgrade is: bump it, and see which test of `tests/card/v86_*` fails.
 *
 * @module
 */
import { V86 } from "v86";

/** Handler of one width at one I/O port. 32-bit values are signed in both directions. */
export type PortRead = () => number;
export type PortWrite = (value: number) => void;

/** The I/O port space of the machine. */
export interface IoSpace {
  /** Any width left out keeps what the port did before. `device` becomes `this` of the handlers. */
  register_read(
    port: number,
    device: object,
    read8?: PortRead,
    read16?: PortRead,
    read32?: PortRead,
  ): void;
  register_write(
    port: number,
    device: object,
    write8?: PortWrite,
    write16?: PortWrite,
    write32?: PortWrite,
  ): void;
  /** Memory-mapped registers, in blocks of 128 KiB. The address handed over is signed. */
  mmap_register(
    address: number,
    size: number,
    read8: (address: number) => number,
    write8: (address: number, value: number) => void,
  ): void;
}

export interface EmulatedPciDevice {
  readonly name: string;
  /** Slot << 3. */
  readonly pci_id: number;
  /** Configuration space, copied by `register_device`. */
  readonly pci_space: ArrayLike<number>;
  /** By BAR number. I/O ports of a BAR must be registered before the device is. */
  readonly pci_bars: readonly { readonly size: number }[];
}

export interface PciBus {
  /** [0]: the configuration address register. */
  readonly pci_addr32: Int32Array;
  /** The double word there, as it was when that register was written. */
  readonly pci_response: Uint8Array;
  /** By bus << 8 | slot << 3; undefined where nothing is plugged. */
  readonly device_spaces: (Int32Array | undefined)[];
  readonly devices: (EmulatedPciDevice | undefined)[];
  /** Returns the live configuration space. */
  register_device(device: EmulatedPciDevice): Int32Array;
  /** `address` is that of the configuration address register plus the byte within. */
  pci_write8(address: number, value: number): void;
  pci_write16(address: number, value: number): void;
  pci_write32(address: number, value: number): void;
}

export interface Ps2Controller {
  command_register: number;
}

/** The real-time clock. */
export interface Rtc {
  /** ms since 1970 as of `last_update`, which is a time of Date.now(). */
  rtc_time: number;
  last_update: number;
}

export interface Cpu {
  readonly wasm_memory: WebAssembly.Memory;
  /** Card memory within `wasm_memory`; slow to index, good for its offset. */
  readonly mem8: Uint8Array;
  /** [0]: bytes of card memory. */
  readonly memory_size: Uint32Array;
  /** [0]: 1 while the CPU waits for an interrupt. */
  readonly in_hlt: Uint8Array;
  /** [0]: EFLAGS, but for the arithmetic flags. */
  readonly flags: Int32Array;
  readonly io: IoSpace;
  readonly devices: { readonly pci: PciBus; readonly ps2: Ps2Controller; readonly rtc: Rtc };
  /** Runs for about a millisecond. @returns milliseconds until the next timer if the CPU is halted, else 0 */
  main_loop(): number;
  /** Called by the reset line of the keyboard controller and of the chipset. */
  reboot_internal(): void;
  /** Drops code compiled from the bytes [start, end); end > start. */
  jit_dirty_cache(start: number, end: number): void;
  set_jit_config(index: number, value: number): void;
  /** Takes over a block of code that was compiled in the background. */
  codegen_finalize_finished(index: number, start: number, flags: number): void;
  device_raise_irq(irq: number): void;
  device_lower_irq(irq: number): void;
}

export interface EventBus {
  send(event: string, value?: unknown): void;
}

/** Runs the CPU in slices. */
export interface Runner {
  readonly cpu: Cpu;
  readonly bus: EventBus;
  /** True between slices: an interrupt raised now wants {@linkcode next_tick}. */
  idle: boolean;
  running: boolean;
  run(): void;
  next_tick(milliseconds: number): void;
}

/** An instance of V86. Events used: "emulator-loaded", "cpu-event-halt", "serial0-output-byte", "keyboard-code". */
export interface Emulator {
  readonly v86: Runner;
  /** Sends to the devices. */
  readonly bus: EventBus;
  add_listener(event: string, listener: (value: number) => void): void;
}

export interface EmulatorOptions {
  readonly autostart: boolean;
  readonly memory_size: number;
  readonly disable_keyboard: boolean;
  readonly disable_mouse: boolean;
  readonly disable_speaker: boolean;
  /** Anything but "ne2k" and "virtio" means no network adapter at all. */
  readonly net_device: { readonly type: "none" };
  /** Instantiates v86.wasm with these imports. */
  readonly wasm_fn: (imports: WasmImports) => Promise<WebAssembly.Exports>;
}

export interface WasmImports extends Record<string, WebAssembly.ModuleImports> {
  readonly env: WebAssembly.ModuleImports;
}

/** V86 as the card uses it; its published types cover the web page around it instead. */
export const EmulatorClass = V86 as unknown as new (options: EmulatorOptions) => Emulator;
