/**
 * A machine without a CPU: memory, plugged functions and what was asked of it, for tests of bootstrap and card driver.
 * The test plays the card OS through `functions` and `events`.
 *
 * @module
 */
import type {
  BootImage,
  InterruptLine,
  Machine,
  MachineEvents,
  PciFunction,
} from "../../card/machine/types.ts";
import { ArrayMemory } from "./array_memory.ts";

export class FakeMachine implements Machine {
  readonly platform = "diag";
  readonly loadAddress = 0x10_0000;
  readonly memory: ArrayMemory;
  readonly functions: PciFunction[] = [];
  /** Level of each function's INTx. */
  readonly lines: boolean[] = [];
  /** Functions whose removal was announced, and that were unplugged. */
  readonly leaving: PciFunction[] = [];
  readonly gone: PciFunction[] = [];
  image: BootImage | undefined;
  events: MachineEvents | undefined;
  shutdownRequests = 0;
  disposals = 0;
  /** Whether the OS lives. */
  lives = true;
  /** What its clock was set to, ms since 1970. */
  readonly clock: number[] = [];
  /** What `boot` throws, if anything. */
  refusal: Error | undefined;

  constructor(memoryBytes: number) {
    this.memory = new ArrayMemory(memoryBytes);
  }

  plug(device: PciFunction): InterruptLine {
    const index = this.functions.push(device) - 1;
    this.lines[index] = false;
    return { set: (asserted) => void (this.lines[index] = asserted) };
  }

  plugHot(device: PciFunction): InterruptLine {
    return this.plug(device);
  }

  announceRemoval(device: PciFunction): void {
    this.leaving.push(device);
  }

  unplug(device: PciFunction): void {
    this.gone.push(device);
  }

  boot(image: BootImage, events: MachineEvents): void {
    if (this.refusal) throw this.refusal;
    this.image = image;
    this.events = events;
  }

  /** The OS writes on its first serial port. */
  say(text: string): void {
    for (const byte of new TextEncoder().encode(text)) this.events!.onSerial!(byte);
  }

  alive(): boolean {
    return this.lives;
  }

  setClock(time: number): void {
    this.clock.push(time);
  }

  requestShutdown(): void {
    this.shutdownRequests++;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposals++;
    return Promise.resolve();
  }
}
