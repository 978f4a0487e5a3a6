/**
 * The endpoint: the card's PCI Express function, which answers what the host asks.
 *
 *     BAR 0  aperture   0 .. card memory, then (at the next power of two) the card page, then the kernel log
 *     BAR 2  I/O        POST code; index and data into the register block
 *     BAR 4  registers  REGISTERS, doorbells, MSI-X table and pending bits
 *
 * Card page and log are the endpoint's own memory, outside of what the card OS has: the OS cannot touch them.
 *
 * - **Spec:** PCI Express Base §2.2 and §7.5; MIC X100 register block (`protocol/pcie/registers.ts`).
 * - **Invariant:** an access is decoded only while the command register and the power state allow it, and only if it
 *   lies within one structure as a whole; all else throws UnsupportedRequest and changes nothing.
 *
 * @module
 */
import {
  barAddress,
  barRegister,
  type Completer,
  IO_BAR,
  le16,
  le32,
  MESSAGE,
  page,
  PCI_COMMAND,
  POWER_MANAGEMENT_CAPABILITY,
  POWER_STATE,
  POWER_STATE_MASK,
  REGISTER_BLOCK_SIZE,
  TYPE0_HEADER,
  UnsupportedRequest,
  viewOf,
  type Width,
} from "../../protocol/mod.ts";
import type { CardMemory } from "../machine/types.ts";
import type { BusMaster } from "./bus_master.ts";
import { CardRegisters, type RegisterEvents } from "./card_registers.ts";
import type { ConfigSpace } from "./config_space.ts";
import {
  CAPABILITY_AT,
  type CardBars,
  cardBars,
  cardFunction,
  type CardIdentity,
} from "./function.ts";
import { Interrupts } from "./interrupts.ts";

/** PCI Express PM messages (§5.3.3.2.1). */
const PME_TURN_OFF = 0x19;
const PME_TO_ACK = 0x1b;
const POWER_CONTROL = CAPABILITY_AT.power_management +
  POWER_MANAGEMENT_CAPABILITY.at.control_status;
const MIB = 1 << 20;
/** BAR address of a space that is not decoded: no offset from it is positive. */
const OFF = Infinity;
/** Memory size of a card without a machine: not even an empty access lies within. */
const NO_MEMORY = -1;

export interface EndpointOptions {
  /** Bytes of card memory, a multiple of 1 MiB below 2 GiB. */
  readonly memoryBytes: number;
  readonly identity: CardIdentity;
  readonly requester: BusMaster;
}

const NOBODY: RegisterEvents = { doorbell() {}, boot() {}, adopt() {}, reset() {} };

export class Endpoint implements Completer {
  /** What the host writes for the card driver (`protocol/device_page.ts`). */
  readonly cardPage: Uint8Array = new Uint8Array(page.PAGE_SIZE);
  /** Where the card page lies in BAR 0. */
  readonly cardPageOffset: number;
  readonly bars: CardBars;
  /** Copy of the kernel log as it was when its length was read last. */
  #log: Uint8Array = new Uint8Array(0);
  #logSource: (() => Uint8Array) | undefined;
  /** Posted writes of the card that the host dropped as unsupported requests. */
  hostErrors = 0;
  readonly #options: EndpointOptions;
  #events: RegisterEvents = NOBODY;
  #config!: ConfigSpace;
  #interrupts!: Interrupts;
  #registers!: CardRegisters;
  #memory: CardMemory | undefined;
  #memoryBytes = NO_MEMORY;
  #aperture = OFF;
  #block = OFF;
  #ports = OFF;

  constructor(options: EndpointOptions) {
    const { memoryBytes } = options;
    if (!(memoryBytes > 0 && memoryBytes % MIB === 0 && memoryBytes <= 2048 * MIB)) {
      throw new RangeError(
        `Cannot make a card of ${memoryBytes} bytes: wanted a multiple of 1 MiB up to 2 GiB`,
      );
    }
    this.#options = options;
    this.cardPageOffset = 2 ** Math.ceil(Math.log2(memoryBytes));
    this.bars = cardBars(2 * this.cardPageOffset);
    this.fundamentalReset();
  }

  /** Who acts on doorbells, boot signal and reset. */
  listen(events: RegisterEvents): void {
    this.#events = events;
  }

  /** Power on, or the loss of a host for good: everything that a host has set up is gone. Card memory stays. */
  fundamentalReset(): void {
    const { identity, memoryBytes, requester } = this.#options;
    this.#config = cardFunction(identity, this.bars);
    this.#interrupts = new Interrupts(this.#config, requester);
    this.#registers = new CardRegisters({
      memoryBytes,
      cardPageOffset: this.cardPageOffset,
      logOffset: this.cardPageOffset + page.PAGE_SIZE,
      copyLog: () => this.#copyLog(),
      interrupts: this.#interrupts,
      requester,
      events: {
        doorbell: (number, value) => this.#events.doorbell(number, value),
        boot: () => this.#events.boot(),
        adopt: () => this.#events.adopt(),
        reset: () => this.#events.reset(),
      },
    });
    this.cardPage.fill(0);
    this.#log = new Uint8Array(0);
    this.#decode();
  }

  /** The registers as the card's own firmware sees them. Another object after each fundamental reset. */
  get registers(): CardRegisters {
    return this.#registers;
  }

  /** Puts `memory` behind the aperture; undefined for none. `log` says what the OS logged, its last LOG_SIZE bytes. */
  attach(memory: CardMemory | undefined, log?: () => Uint8Array): void {
    if (memory !== undefined && memory.size !== this.#options.memoryBytes) {
      throw new RangeError(
        `Cannot attach ${memory.size} bytes of memory: wanted ${this.#options.memoryBytes}`,
      );
    }
    this.#memory = memory;
    this.#logSource = log;
    this.#memoryBytes = memory?.size ?? NO_MEMORY;
  }

  /** Interrupts the host: 0 for the card itself, slot + 1 for a device. */
  sendMsi(vector: number): void {
    this.#interrupts.raise(vector);
  }

  memoryWrite(address: number, bytes: Uint8Array): void {
    const at = address - this.#aperture;
    const end = at + bytes.length;
    if (at >= 0 && end <= this.#memoryBytes) {
      const memory = this.#memory!;
      memory.bytes().set(bytes, at);
      if (end > at) memory.written(at, end);
      return;
    }
    const offset = address - this.#block;
    if (offset >= 0 && offset < REGISTER_BLOCK_SIZE && bytes.length === 4 && (offset & 3) === 0) {
      const value = bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24);
      this.#registers.write(offset, value >>> 0);
      return;
    }
    this.#cardPagePart(address, bytes.length).set(bytes);
  }

  memoryRead(address: number, into: Uint8Array): void {
    const at = address - this.#aperture;
    const end = at + into.length;
    if (at >= 0 && end <= this.#memoryBytes) {
      into.set(this.#memory!.bytes().subarray(at, end));
      return;
    }
    const offset = address - this.#block;
    if (offset >= 0 && offset < REGISTER_BLOCK_SIZE && into.length === 4 && (offset & 3) === 0) {
      le32.set(viewOf(into), 0, this.#registers.read(offset));
      return;
    }
    const inLog = address - this.#aperture - this.cardPageOffset - page.PAGE_SIZE;
    if (inLog >= 0 && inLog + into.length <= this.#log.length) {
      into.set(this.#log.subarray(inLog, inLog + into.length));
      return;
    }
    into.set(this.#cardPagePart(address, into.length));
  }

  /** Bytes of the copy. */
  #copyLog(): number {
    this.#log = this.#logSource?.() ?? new Uint8Array(0);
    return this.#log.length;
  }

  /** The `length` bytes of the card page at a bus address, if that is what it names. */
  #cardPagePart(address: number, length: number): Uint8Array {
    const at = address - this.#aperture - this.cardPageOffset;
    if (!(at >= 0 && at + length <= page.PAGE_SIZE)) {
      throw new UnsupportedRequest(
        `Cannot access ${length} bytes at bus address 0x${address.toString(16)}: not of this card`,
      );
    }
    return this.cardPage.subarray(at, at + length);
  }

  configRead(register: number, width: Width): number {
    return this.#config.read(register, width);
  }

  configWrite(register: number, width: Width, value: number): void {
    const power = le16.get(this.#config.view, POWER_CONTROL);
    this.#config.write(register, width, value);
    const state = le16.get(this.#config.view, POWER_CONTROL) & POWER_STATE_MASK;
    if (state !== POWER_STATE.d0 && state !== POWER_STATE.d3hot) {
      // A state that the function does not have: the write completes and changes nothing (PM 1.2 §3.2.4).
      le16.set(this.#config.view, POWER_CONTROL, power);
    }
    this.#decode();
  }

  ioRead(port: number, width: Width): number {
    const at = port - this.#ports;
    if (at === IO_BAR.post && width === 2) return this.#registers.postCode;
    if (at === IO_BAR.index && width === 4) return this.#registers.index;
    if (at === IO_BAR.data && width === 4) return this.#registers.read(this.#registers.index);
    throw new UnsupportedRequest(`Cannot read I/O port 0x${port.toString(16)}, ${width} bytes`);
  }

  ioWrite(port: number, width: Width, value: number): void {
    const at = port - this.#ports;
    if (at === IO_BAR.index && width === 4) this.#registers.index = (value & ~3) >>> 0;
    else if (at === IO_BAR.data && width === 4) {
      this.#registers.write(this.#registers.index, value);
    } else {
      throw new UnsupportedRequest(`Cannot write I/O port 0x${port.toString(16)}, ${width} bytes`);
    }
  }

  message(code: number, a: number): void {
    if (code === MESSAGE.error) this.hostErrors++;
    else if (code === MESSAGE.power && a === PME_TURN_OFF) {
      this.#options.requester.message(MESSAGE.power, PME_TO_ACK);
    } else {
      throw new UnsupportedRequest(`Cannot take message ${code} with 0x${a.toString(16)}`);
    }
  }

  /** Nothing waits for the end of a batch: each doorbell was acted on where it stood. */
  batchEnd(): void {}

  /** Works out which spaces are decoded, and where, from command register, power state and BARs. */
  #decode(): void {
    const view = this.#config.view;
    const awake = (le16.get(view, POWER_CONTROL) & POWER_STATE_MASK) === POWER_STATE.d0;
    const command = awake ? le16.get(view, TYPE0_HEADER.at.command) : 0;
    const { aperture, ports, registers } = this.bars;
    const memory = (command & PCI_COMMAND.memory_space) !== 0;
    const bar = (index: number): number => le32.get(view, barRegister(index));
    this.#aperture = memory
      ? barAddress(aperture.kind, bar(aperture.index), bar(aperture.index + 1))
      : OFF;
    this.#block = memory ? barAddress(registers.kind, bar(registers.index)) : OFF;
    this.#ports = command & PCI_COMMAND.io_space ? barAddress(ports.kind, bar(ports.index)) : OFF;
    this.#options.requester.enabled = (command & PCI_COMMAND.bus_master) !== 0;
    this.#interrupts.refresh();
  }
}
