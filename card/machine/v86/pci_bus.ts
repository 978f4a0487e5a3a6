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
import { HotPort } from "./hot_port.ts";
import { IsaInterrupts } from "./isa_interrupts.ts";
import type { Cpu, IoSpace, PciBus } from "./v86_types.ts";

/** Slots 0 and 1 are the host bridge and the ISA bridge; 31 is kept for the machine's own use. */
const FIRST_SLOT = 2;
const LAST_SLOT = 29;
/** Where the hot-plug root ports are: the functions of one slot, with a bus behind each. */
const PORTS_SLOT = 30;
const HOT_PORTS = 8;
/** Built-in functions that nothing on the card can use: display and IDE controller. */
const UNWANTED_SLOTS = [0x12, 0x1e];
/** I/O space from here up has no legacy device in it. */
const FIRST_PORT = 0xc000;
/** Where a function behind a root port answers until software has put it into the port's window; its most bytes. */
const HOT_FIRST_PORT = 0xf000;
const HOT_BAR_SIZE = 0x100;
/** INTA#. */
const PIN_A = 1;
/** CONFIG_DATA: four bytes. */
const CONFIG_DATA = 0xcfc;

/** A configuration space that is ours to keep. */
interface ConfigTarget {
  /** As it is now. */
  readonly config: Uint8Array;
  /** Software is about to read there. */
  beforeRead?(at: number, width: number): void;
  write(at: number, width: number, value: number): void;
}

/** A slot that can be filled and emptied while the card OS runs. */
interface HotSlot {
  readonly port: HotPort;
  occupant: Plugged | undefined;
}

export class V86PciBus {
  readonly #io: IoSpace;
  readonly #pci: PciBus;
  readonly #interrupts: IsaInterrupts;
  /** On bus 0, by bus address, slot << 3. */
  readonly #plugged = new Map<number, Plugged>();
  readonly #hot: HotSlot[] = [];
  readonly #write32: PciBus["pci_write32"];
  #slot = FIRST_SLOT;
  #port = FIRST_PORT;

  constructor(cpu: Cpu) {
    this.#io = cpu.io;
    this.#pci = cpu.devices.pci;
    this.#write32 = this.#pci.pci_write32.bind(this.#pci);
    this.#interrupts = new IsaInterrupts(cpu);
    for (const slot of UNWANTED_SLOTS) {
      this.#pci.device_spaces[slot << 3] = undefined;
      this.#pci.devices[slot << 3] = undefined;
    }
    for (let number = 1; number <= HOT_PORTS; number++) {
      const { irq, line } = this.#interrupts.forPort();
      this.#hot.push({ port: new HotPort(number, irq, line), occupant: undefined });
    }
    const find = (id: number) => this.#find(id);
    superviseReads(this.#io, this.#pci, find);
    superviseWrites(this.#pci, find);
  }

  /** Bit n: ISA interrupt n is level-triggered. */
  get levelTriggered(): number {
    return this.#interrupts.levelTriggered;
  }

  /** Before the card OS runs. @throws {RangeError} if the bus is full, or the function is not one that fits it */
  plug(device: PciFunction): InterruptLine {
    const { name, barSize } = device;
    check(device, 0x1000);
    const port = Math.ceil(this.#port / barSize) * barSize;
    if (this.#slot > LAST_SLOT || port + barSize > HOT_FIRST_PORT) {
      throw new RangeError(`Cannot plug ${name}: the bus is full`);
    }
    const id = this.#slot << 3;
    const plugged = new Plugged(this.#io, this.#pci, {
      device,
      id,
      port,
      write32: this.#write32,
      ...this.#interrupts.allocate(),
    });
    this.#plugged.set(id, plugged);
    this.#slot++;
    this.#port = port + barSize;
    return plugged.pin;
  }

  /** At any time, where it can be pulled again. @throws {RangeError} if no slot is free, or it does not fit */
  plugHot(device: PciFunction): InterruptLine {
    check(device, HOT_BAR_SIZE);
    const index = this.#hot.findIndex(({ occupant }) => occupant === undefined);
    const slot = this.#hot[index];
    if (slot === undefined) {
      throw new RangeError(`Cannot plug ${device.name}: all ${HOT_PORTS} hot-plug slots are taken`);
    }
    slot.occupant = new Plugged(this.#io, this.#pci, {
      device,
      id: (index + 1) << 8,
      port: HOT_FIRST_PORT + index * HOT_BAR_SIZE,
      write32: this.#write32,
      ...this.#interrupts.forHotFunction(),
    });
    slot.port.setPresent(true);
    return slot.occupant.pin;
  }

  /** The card OS is told that the function leaves; until `unplug` it still answers. Nothing for one that cannot. */
  announceRemoval(device: PciFunction): void {
    this.#slotOf(device)?.port.setPresent(false);
  }

  /** The function is gone: whoever looks for it finds an empty slot. */
  unplug(device: PciFunction): void {
    const slot = this.#slotOf(device);
    slot?.occupant?.remove();
    if (slot !== undefined) slot.occupant = undefined;
  }

  #slotOf(device: PciFunction): HotSlot | undefined {
    return this.#hot.find(({ occupant }) => occupant?.device === device);
  }

  /** `id` is bus << 8 | slot << 3 | function. */
  #find(id: number): ConfigTarget | undefined {
    const bus = id >> 8;
    if (bus === 0) {
      return id >> 3 === PORTS_SLOT ? this.#hot[id & 7]?.port : this.#plugged.get(id);
    }
    if ((id & 0xff) !== 0) return undefined;
    return this.#hot.find(({ port }) => port.bus === bus)?.occupant;
  }
}

/** @throws {RangeError} */
function check({ name, pciConfig, barSize }: PciFunction, most: number): void {
  if (pciConfig.length !== PCI_CONFIG_SIZE) {
    throw new RangeError(
      `Cannot plug ${name}: configuration space of ${pciConfig.length} bytes, wanted ${PCI_CONFIG_SIZE}`,
    );
  }
  if (!(barSize >= 4 && barSize <= most && (barSize & (barSize - 1)) === 0)) {
    throw new RangeError(
      `Cannot plug ${name}: BAR of ${barSize} bytes, wanted a power of two from 4 to ${most}`,
    );
  }
}

interface PluggedOptions {
  readonly device: PciFunction;
  /** Where the emulator has it: bus << 8 | slot << 3. */
  readonly id: number;
  /** First I/O port, until software moves them. */
  readonly port: number;
  readonly irq: number;
  readonly line: InterruptLine;
  /** The emulator's own configuration write. */
  readonly write32: PciBus["pci_write32"];
}

/** One of our functions, and what the bus keeps of it. */
class Plugged implements ConfigTarget {
  readonly device: PciFunction;
  readonly config: Uint8Array;
  readonly pin: IntxPin;
  readonly #id: number;
  readonly #pci: PciBus;
  readonly #view: DataView;
  readonly #mask: Uint8Array;
  readonly #write32: PciBus["pci_write32"];

  constructor(io: IoSpace, pci: PciBus, { device, id, port, irq, line, write32 }: PluggedOptions) {
    this.device = device;
    this.#id = id;
    this.#pci = pci;
    this.#write32 = write32;
    const { name, pciConfig, barSize } = device;
    const config = pciConfig.slice();
    const view = viewOf(config);
    const at = TYPE0_HEADER.at;
    const flags = barFlags({ index: 0, kind: "io", prefetchable: false, size: barSize });
    le32.set(view, at.bar0, port | flags);
    u8.set(view, at.interrupt_line, irq);
    u8.set(view, at.interrupt_pin, PIN_A);
    // The bus moves the ports of a BAR as it finds them when the function is registered, so they come first.
    registerPorts(io, port, device);
    const { buffer } = pci.register_device({
      name,
      pci_id: id,
      pci_space: config,
      pci_bars: [{ size: barSize }],
    });
    this.config = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#mask = writableBits(device);
    this.pin = new IntxPin(this.#view, line);
  }

  beforeRead(at: number, width: number): void {
    this.device.configRead?.(this.#view, at, width);
  }

  write(at: number, width: number, value: number): void {
    const { config } = this;
    const bar = TYPE0_HEADER.at.bar0;
    if (at >= bar && at < bar + le32.size) {
      // The ports move with it, which is the emulator's work; it knows only the whole register.
      const register = config.slice();
      writeMasked(register, this.#mask, at, width, value);
      this.#moveTo(le32.get(viewOf(register), bar));
      return;
    }
    writeMasked(config, this.#mask, at, width, value);
    this.pin.refresh();
    this.device.configWrote?.(this.#view, at, width);
  }

  /**
   * No configuration cycle finds it any more. Its ports answer until another function gets them: a driver that has reset
   * it may not have read yet that this is done.
   */
  remove(): void {
    this.pin.set(false);
    this.#pci.device_spaces[this.#id] = undefined;
    this.#pci.devices[this.#id] = undefined;
  }

  #moveTo(bar: number): void {
    this.#write32(this.#id << 8 | TYPE0_HEADER.at.bar0, bar | 0);
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
 * was when the address was written. What is not ours and not on bus 0 is not there.
 */
function superviseReads(io: IoSpace, pci: PciBus, find: (id: number) => ConfigTarget | undefined) {
  const read = (byte: number, width: number): number => {
    const address = pci.pci_addr32[0]!;
    const id = (address >> 8) & 0xffff;
    const found = find(id);
    const at = address & 0xfc;
    found?.beforeRead?.(at + byte, width);
    let value = 0;
    for (let i = byte + width - 1; i >= byte; i--) {
      const other = id >> 8 === 0 ? pci.pci_response[i]! : 0xff;
      value = value << 8 | (found ? found.config[at + i]! : other);
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
function superviseWrites(pci: PciBus, find: (id: number) => ConfigTarget | undefined): void {
  const supervised = (width: number, write: (address: number, value: number) => void) => {
    return (address: number, value: number): void => {
      const id = (address >> 8) & 0xffff;
      const found = find(id);
      if (found !== undefined) found.write(address & 0xff, width, value);
      else if (id >> 8 === 0 && pci.device_spaces[id] !== undefined) write(address, value);
    };
  };
  pci.pci_write8 = supervised(1, pci.pci_write8.bind(pci));
  pci.pci_write16 = supervised(2, pci.pci_write16.bind(pci));
  pci.pci_write32 = supervised(4, pci.pci_write32.bind(pci));
}
