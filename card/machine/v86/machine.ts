/**
 * The v86 machine: an emulated PC whose memory is the card's memory and whose PCI bus has the card's functions.
 *
 * It boots Linux for 32-bit x86, as an ELF or a bzImage, without a BIOS.
 *
 * @module
 */
import type {
  BootImage,
  InterruptLine,
  Machine,
  MachineEvents,
  MachineFactory,
  PciFunction,
} from "../types.ts";
import { setRealTimeClock } from "./clock.ts";
import { type NewEmulator, newEmulator, silence } from "./emulator.ts";
import { Lifecycle } from "./lifecycle.ts";
import { prepareLinux } from "./linux_boot.ts";
import { V86Memory } from "./memory.ts";
import { V86PciBus } from "./pci_bus.ts";
import { ReactorPing } from "./reactor_ping.ts";
import { Scheduler } from "./scheduler.ts";

const MIB = 0x10_0000;
/** Smallest memory with anything above the first MiB, and the largest the emulator maps. */
const MEMORY_MIN = 2 * MIB;
const MEMORY_MAX = 2047 * MIB;

/**
 * Makes a v86 machine. Wants `--allow-read` (the emulator's own file) and `--allow-net=127.0.0.1` (`reactor_ping.ts`).
 *
 * @throws {RangeError} if `memoryBytes` is not a whole number of MiB from 2 to 2047
 */
export const v86Machine: MachineFactory = async ({ memoryBytes }) => {
  if (!(memoryBytes >= MEMORY_MIN && memoryBytes <= MEMORY_MAX && memoryBytes % MIB === 0)) {
    throw new RangeError(
      `Cannot make a v86 machine: memory of ${memoryBytes} bytes, wanted whole MiB from ${
        MEMORY_MIN / MIB
      } to ${MEMORY_MAX / MIB}`,
    );
  }
  const fresh = await newEmulator(memoryBytes);
  return new V86Machine(fresh, await ReactorPing.open());
};

class V86Machine implements Machine {
  readonly platform = "v86";
  readonly memory: V86Memory;
  readonly #fresh: NewEmulator;
  readonly #bus: V86PciBus;
  readonly #lifecycle: Lifecycle;
  readonly #scheduler: Scheduler;
  #events: MachineEvents | undefined;

  constructor(fresh: NewEmulator, ping: ReactorPing) {
    const { emulator } = fresh;
    const { cpu } = emulator.v86;
    this.#fresh = fresh;
    this.memory = new V86Memory(cpu);
    this.#bus = new V86PciBus(cpu);
    this.#lifecycle = new Lifecycle(
      emulator,
      (code) => this.#events?.postCode(code),
      () => this.#scheduler.stop(),
    );
    this.#scheduler = new Scheduler(emulator.v86, ping, {
      sliced: () => this.#lifecycle.sliced(),
      stopped: () => this.#stopped(),
      failed: (error) => this.#failed(error),
    });
    emulator.add_listener("serial0-output-byte", (byte) => this.#events?.onSerial?.(byte));
  }

  /** Half-way up: a kernel runs from the lower half, and finds its download and initrd in the upper. */
  get loadAddress(): number {
    return this.memory.size / 2;
  }

  plug(device: PciFunction): InterruptLine {
    if (this.#events !== undefined) {
      throw new TypeError(`Cannot plug ${device.name}: the machine has booted`);
    }
    return this.#bus.plug(device);
  }

  plugHot(device: PciFunction): InterruptLine {
    return this.#bus.plugHot(device);
  }

  announceRemoval(device: PciFunction): void {
    this.#bus.announceRemoval(device);
  }

  unplug(device: PciFunction): void {
    this.#bus.unplug(device);
  }

  boot(image: BootImage, events: MachineEvents): void {
    if (this.#events !== undefined) throw new TypeError("Cannot boot: the machine has booted");
    prepareLinux(this.memory, image, this.#bus.levelTriggered);
    this.#events = events;
    this.#scheduler.start();
  }

  alive(): boolean {
    return this.#lifecycle.alive();
  }

  setClock(time: number): void {
    setRealTimeClock(this.#fresh.emulator.v86.cpu, time);
  }

  requestShutdown(): void {
    if (this.#events !== undefined) this.#lifecycle.requestShutdown();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    silence(this.#fresh.emulator.v86.cpu);
    await this.#scheduler[Symbol.asyncDispose]();
  }

  #stopped(): void {
    silence(this.#fresh.emulator.v86.cpu);
    const { reason, detail } = this.#lifecycle.ending!;
    this.#events!.stopped(reason, detail);
  }

  #failed(error: unknown): void {
    silence(this.#fresh.emulator.v86.cpu);
    const words = this.#fresh.lastWords() || String(error);
    this.#events!.stopped("crashed", `The CPU failed: ${words.replaceAll(/\s+/g, " ")}`);
  }
}
