/**
 * Intel 6300ESB watchdog: a PCI function that the stock Linux driver `i6300esb` arms when somebody opens /dev/watchdog.
 * Who armed it and does not feed it any more hangs, whether its CPU takes interrupts or not.
 *
 * Two timers run out one after the other; then a board would be reset. Nothing is armed on a card OS without the driver.
 *
 * - **Spec:** Intel 6300ESB I/O Controller Hub datasheet (300641), §16. Interrupts (timer 1's) and free-running mode are
 *   not there; Linux uses neither.
 * - **Invariant:** time is the CPU's own: while the process stands still, so does the watchdog.
 *
 * @module
 */
import { le16, le32, PCI_CONFIG_SIZE, TYPE0_HEADER, u8, viewOf } from "../../../protocol/mod.ts";
import { MACHINE_SLOT, MMIO_BLOCK } from "./fixed_slots.ts";
import type { Cpu } from "./v86_types.ts";

const VENDOR_INTEL = 0x8086;
const DEVICE_6300ESB = 0x25ab;
const CLASS_SYSTEM = 0x08;
const SUBCLASS_OTHER = 0x80;
/** Beside pvpanic. */
const FUNCTION = 1;
const ADDRESS = 0xfd02_0000;
const BAR_SIZE = 0x10;

/** Configuration space: the clock, and whether a board would be reset; what runs. */
const CONFIG = 0x60;
const CONFIG_FAST_CLOCK = 1 << 2;
const CONFIG_NO_OUTPUT = 1 << 5;
const LOCK = 0x68;
const LOCK_LOCKED = 1 << 0;
const LOCK_ENABLED = 1 << 1;

/** Registers in the BAR: two timers of 20 bits, then the reload register, whose second byte has the commands. */
const TIMERS = 0x00;
const TIMERS_END = 0x08;
const TIMER_MASK = 0xf_ffff;
const RELOAD = 0x0c;
const COMMANDS = 0x0d;
const COMMAND_RELOAD = 1 << 0;
/** Bytes that unlock the next write, written to RELOAD one after the other. */
const UNLOCK = [0x80, 0x86];
/** ms of one count: the PCI clock of 33 MHz divided by 2^15; with the fast clock, by 2^5. */
const SLOW_COUNT = 2 ** 15 / 33_000;
const FAST_COUNT = 2 ** 5 / 33_000;

export class Watchdog {
  /** Live configuration space. */
  readonly #config: DataView;
  readonly #timers = new DataView(new ArrayBuffer(TIMERS_END));
  readonly #expired: (seconds: number) => void;
  #unlocking = 0;
  /** Enabled by a write that also locked it: no later write ends that. */
  #locked = false;
  /** ms that it was not fed. */
  #unfed = 0;
  #over = false;

  /** Plugs it in; `expired` is called once, between two slices: it was not fed for so long. */
  constructor(cpu: Cpu, expired: (seconds: number) => void) {
    this.#expired = expired;
    for (let at = TIMERS; at < TIMERS_END; at += 4) this.#timers.setUint32(at, TIMER_MASK, true);
    const config = new Uint8Array(PCI_CONFIG_SIZE);
    const view = viewOf(config);
    const at = TYPE0_HEADER.at;
    le16.set(view, at.vendor_id, VENDOR_INTEL);
    le16.set(view, at.device_id, DEVICE_6300ESB);
    u8.set(view, at.base_class, CLASS_SYSTEM);
    u8.set(view, at.sub_class, SUBCLASS_OTHER);
    le32.set(view, at.bar0, ADDRESS);
    // Addresses arrive signed; wider accesses as bytes, the lowest first.
    const offset = (address: number): number => (address >>> 0) - ADDRESS;
    cpu.io.mmap_register(
      ADDRESS,
      MMIO_BLOCK,
      (address) => this.#read(offset(address)),
      (address, value) => this.#write(offset(address), value),
    );
    const { buffer } = cpu.devices.pci.register_device({
      name: "i6300esb",
      pci_id: MACHINE_SLOT << 3 | FUNCTION,
      pci_space: config,
      pci_bars: [{ size: BAR_SIZE }],
    });
    this.#config = new DataView(buffer);
  }

  /** The CPU ran or idled for so many ms. */
  elapse(milliseconds: number): void {
    const lock = this.#config.getUint8(LOCK);
    this.#locked ||= (lock & (LOCK_LOCKED | LOCK_ENABLED)) === (LOCK_LOCKED | LOCK_ENABLED);
    if (!this.#locked && (lock & LOCK_ENABLED) === 0) {
      this.#unfed = 0;
      return;
    }
    this.#unfed += milliseconds;
    const config = this.#config.getUint8(CONFIG);
    const count = config & CONFIG_FAST_CLOCK ? FAST_COUNT : SLOW_COUNT;
    const limit = count * (this.#timers.getUint32(0, true) + this.#timers.getUint32(4, true) + 2);
    if (this.#unfed < limit || this.#over || (config & CONFIG_NO_OUTPUT) !== 0) return;
    this.#over = true;
    this.#expired(Math.round(limit / 1000));
  }

  #read(at: number): number {
    return at < TIMERS_END ? this.#timers.getUint8(at) : 0;
  }

  #write(at: number, value: number): void {
    if (at === RELOAD && value === UNLOCK[0]) {
      this.#unlocking = 1;
    } else if (at === RELOAD && value === UNLOCK[1] && this.#unlocking === 1) {
      this.#unlocking = 2;
    } else if (this.#unlocking === 2) {
      this.#unlockedWrite(at, value);
    }
  }

  /** Of the one access that an unlocking allows; its last byte ends that. */
  #unlockedWrite(at: number, value: number): void {
    if (at < TIMERS_END) {
      this.#timers.setUint8(at, value);
      if (at % 4 < 3) return;
      const timer = at & ~3;
      this.#timers.setUint32(timer, this.#timers.getUint32(timer, true) & TIMER_MASK, true);
      this.#unlocking = 0;
    } else if (at === COMMANDS && value !== 0) {
      // The upper byte of the unlocking writes is 0, and comes here as well.
      if (value & COMMAND_RELOAD) this.#unfed = 0;
      this.#unlocking = 0;
    }
  }
}
