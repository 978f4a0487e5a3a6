/**
 * The machine's PCI bus: our functions in, the emulator's own VGA and IDE out.
 *
 * A function has one I/O BAR. It must be one in I/O space: there an access ends a block of compiled code, so that an
 * interrupt may be raised, and memory written, from within it; raising one from a memory-mapped access would deliver it
 * in the middle of an instruction.
 *
 * - **Spec:** PCI Local Bus 3.0 §3.2.2.3.2, §6.1 and §6.2.
 * - **Invariant:** no access of the card OS, however odd, throws here: it would end the CPU.
 *
 * @module
 */
import {
  barFlags,
  le32,
  PCI_CONFIG_SIZE,
  TYPE0_HEADER,
  u8,
  viewOf,
} from "../../../protocol/mod.ts";
import { IntxPin } from "../intx.ts";
import { writableBits, writeMasked } from "../pci_writable.ts";
import type { InterruptLine, PciFunction } from "../types.ts";
import { IsaInterrupts } from "./isa_interrupts.ts";
import type { Cpu, IoSpace, PciBus } from "./v86_types.ts";

/** Slots 0 and 1 are the host bridge and the ISA bridge; 31 is kept for the machine's own use. */
const FIRST_SLOT = 2;
const LAST_SLOT = 30;
/** Built-in functions that nothing on the card can use: display and IDE controller. */
const UNWANTED_SLOTS = [0x12, 0x1e];
/** I/O space from here up has no legacy device in it. */
const FIRST_PORT = 0xc000;
const PORTS = 0x1_0000;
/** INTA#. */
const PIN_A = 1;
/** CONFIG_DATA: four bytes. */
const CONFIG_DATA = 0xcfc;

/** One of our functions, and what the bus keeps of it. */
interface Plugged {
  readonly device: PciFunction;
  /** Live configuration space. */
  readonly config: Uint8Array;
  readonly view: DataView;
  readonly mask: Uint8Array;
  readonly pin: IntxPin;
}

export class V86PciBus {
  readonly #io: IoSpace;
  readonly #pci: PciBus;
  readonly #interrupts: IsaInterrupts;
  /** By bus address, slot << 3. */
  readonly #plugged = new Map<number, Plugged>();
  #slot = FIRST_SLOT;
  #port = FIRST_PORT;

  constructor(cpu: Cpu) {
    this.#io = cpu.io;
    this.#pci = cpu.devices.pci;
    this.#interrupts = new IsaInterrupts(cpu);
    for (const slot of UNWANTED_SLOTS) {
      this.#pci.device_spaces[slot << 3] = undefined;
      this.#pci.devices[slot << 3] = undefined;
    }
    superviseReads(this.#io, this.#pci, this.#plugged);
    superviseWrites(this.#pci, this.#plugged);
  }

  /** Bit n: ISA interrupt n is level-triggered. */
  get levelTriggered(): number {
    return this.#interrupts.levelTriggered;
  }

  /** @throws {RangeError} if the bus is full, or the function is not one that fits it */
  plug(device: PciFunction): InterruptLine {
    const { name, pciConfig, barSize } = device;
    if (pciConfig.length !== PCI_CONFIG_SIZE) {
      throw new RangeError(
        `Cannot plug ${name}: configuration space of ${pciConfig.length} bytes, wanted ${PCI_CONFIG_SIZE}`,
      );
    }
    if (!(barSize >= 4 && barSize <= 0x1000 && (barSize & (barSize - 1)) === 0)) {
      throw new RangeError(
        `Cannot plug ${name}: BAR of ${barSize} bytes, wanted a power of two from 4 to 4096`,
      );
    }
    const port = Math.ceil(this.#port / barSize) * barSize;
    if (this.#slot > LAST_SLOT || port + barSize > PORTS) {
      throw new RangeError(`Cannot plug ${name}: the bus is full`);
    }
    const { irq, line } = this.#interrupts.allocate();
    const config = pciConfig.slice();
    const view = viewOf(config);
    const at = TYPE0_HEADER.at;
    const flags = barFlags({ index: 0, kind: "io", prefetchable: false, size: barSize });
    le32.set(view, at.bar0, port | flags);
    u8.set(view, at.interrupt_line, irq);
    u8.set(view, at.interrupt_pin, PIN_A);
    // The bus moves the ports of a BAR as it finds them when the function is registered, so they come first.
    registerPorts(this.#io, port, device);
    const id = this.#slot << 3;
    const { buffer } = this.#pci.register_device({
      name,
      pci_id: id,
      pci_space: config,
      pci_bars: [{ size: barSize }],
    });
    const live = new DataView(buffer);
    const pin = new IntxPin(live, line);
    this.#plugged.set(id, {
      device,
      config: new Uint8Array(buffer),
      view: live,
      mask: writableBits(device),
      pin,
    });
    this.#slot++;
    this.#port = port + barSize;
    return pin;
  }
}

/** One set of handlers a port; an access that would run over the end of the BAR is left to the empty bus. */
function registerPorts(io: IoSpace, port: number, device: PciFunction): void {
  for (let offset = 0; offset < device.barSize; offset++) {
    const wide = offset + 2 <= device.barSize;
    const long = offset + 4 <= device.barSize;
    io.register_read(
      port + offset,
      device,
      () => device.read(offset, 1) & 0xff,
      wide ? () => device.read(offset, 2) & 0xffff : undefined,
      long ? () => device.read(offset, 4) | 0 : undefined,
    );
    io.register_write(
      port + offset,
      device,
      (value) => device.write(offset, 1, value & 0xff),
      wide ? (value) => device.write(offset, 2, value & 0xffff) : undefined,
      long ? (value) => device.write(offset, 4, value >>> 0) : undefined,
    );
  }
}

/**
 * Configuration reads of our functions: as configuration space is at that moment, where the emulator answers with what it
 * was when the address was written.
 */
function superviseReads(io: IoSpace, pci: PciBus, plugged: ReadonlyMap<number, Plugged>): void {
  const read = (byte: number, width: number): number => {
    const address = pci.pci_addr32[0]!;
    const found = plugged.get((address >> 8) & 0xffff);
    const at = address & 0xfc;
    found?.device.configRead?.(found.view, at + byte, width);
    let value = 0;
    for (let i = byte + width - 1; i >= byte; i--) {
      value = value << 8 | (found ? found.config[at + i]! : pci.pci_response[i]!);
    }
    return value;
  };
  for (let byte = 0; byte < 4; byte++) {
    io.register_read(
      CONFIG_DATA + byte,
      pci,
      () => read(byte, 1),
      byte <= 2 ? () => read(byte, 2) : undefined,
      byte === 0 ? () => read(0, 4) : undefined,
    );
  }
}

/**
 * Sees to what the emulator's bus lacks: byte and word writes to a slot with nothing in it end the emulator, where a bus
 * lets them go by; and all of configuration space can be written, where most of it is read-only.
 */
function superviseWrites(pci: PciBus, plugged: ReadonlyMap<number, Plugged>): void {
  const write8 = pci.pci_write8.bind(pci);
  const write16 = pci.pci_write16.bind(pci);
  const write32 = pci.pci_write32.bind(pci);
  const supervised = (width: number, write: (address: number, value: number) => void) => {
    return (address: number, value: number): void => {
      const id = (address >> 8) & 0xffff;
      const found = plugged.get(id);
      if (found !== undefined) writeFunction(found, address, width, value);
      else if (pci.device_spaces[id] !== undefined) write(address, value);
    };
  };
  const writeFunction = (found: Plugged, address: number, width: number, value: number): void => {
    const { device, config, view, mask, pin } = found;
    const at = address & 0xff;
    const bar = TYPE0_HEADER.at.bar0;
    if (at >= bar && at < bar + le32.size) {
      // The ports move with it, which is the emulator's work; it knows only the whole register.
      const register = config.slice();
      writeMasked(register, mask, at, width, value);
      write32((address & ~0xff) | bar, le32.get(viewOf(register), bar) | 0);
      return;
    }
    writeMasked(config, mask, at, width, value);
    pin.refresh();
    device.configWrote?.(view, at, width);
  };
  pci.pci_write8 = supervised(1, write8);
  pci.pci_write16 = supervised(2, write16);
  pci.pci_write32 = supervised(4, write32);
}
