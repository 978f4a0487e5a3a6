/**
 * How a card OS comes to its end, and what that end is called.
 *
 * | the OS | seen as | reason |
 * | --- | --- | --- |
 * | halts with interrupts off | event of the emulator | by the POST code it left, see below |
 * | restarts (keyboard controller, chipset) | the reset line | restart |
 * | panics, with pvpanic loaded | pvpanic | crashed |
 * | hangs, with the watchdog armed | watchdog not fed | crashed |
 * | triple fault | the emulator fails | crashed |
 *
 * A PC without ACPI cannot switch itself off, so `poweroff` ends as a halt does. The card's OS therefore leaves a POST
 * code before it halts: PO power off, HA halt, RS restart. One that left none and was asked to shut down has done so,
 * also by a restart: that is what most make of Ctrl-Alt-Del.
 *
 * A CPU that takes no interrupts any more, and was never told to watch itself, comes to no end here: `alive` says so.
 *
 * @module
 */
import { postCode, postText, type ShutdownReason } from "../../../protocol/mod.ts";
import { PostPort } from "./post_port.ts";
import { plugPvpanic } from "./pvpanic.ts";
import type { Cpu, Emulator } from "./v86_types.ts";
import { Watchdog } from "./watchdog.ts";

const EFLAGS_IF = 1 << 9;
/** ms. What a slice and the wait after it take at most; in anything longer the process did not run. */
const SLICE_MAX = 100;

const BY_POST_CODE: ReadonlyMap<number, ShutdownReason> = new Map([
  [postCode("PO"), "poweroff"],
  [postCode("HA"), "halted"],
  [postCode("RS"), "restart"],
]);

export interface Ending {
  readonly reason: ShutdownReason;
  readonly detail: string;
}

/** Scancodes, set 1: Ctrl, Alt and Delete pressed, and released in the opposite order. */
const CTRL_ALT_DEL = [0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d];

export class Lifecycle {
  readonly #emulator: Emulator;
  readonly #post: PostPort;
  readonly #watchdog: Watchdog;
  /** The CPU was seen with interrupts on since `alive` was asked. */
  #pulse = true;
  #last = performance.now();
  #askedToShutDown = false;
  #ending: Ending | undefined;

  /**
   * @param onPostCode The OS wrote its POST port.
   * @param onEnding The OS has ended, for the first reason only. Called from within a slice.
   */
  constructor(
    emulator: Emulator,
    onPostCode: (code: number) => void,
    onEnding: () => void,
  ) {
    this.#emulator = emulator;
    const cpu = emulator.v86.cpu;
    const end = (ending: Ending): void => {
      stopCpu(cpu);
      if (this.#ending !== undefined) return;
      this.#ending = ending;
      onEnding();
    };
    this.#post = new PostPort(cpu.io, onPostCode);
    emulator.add_listener("cpu-event-halt", () => end(this.#halted()));
    cpu.reboot_internal = () => end(this.#restarted());
    plugPvpanic(cpu, () => end({ reason: "crashed", detail: "The card OS panicked" }));
    this.#watchdog = new Watchdog(cpu, (seconds) =>
      end({
        reason: "crashed",
        detail: `The card OS hangs: its watchdog was not fed for ${seconds} s`,
      }));
  }

  /** Why the OS has ended; undefined while it runs. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** After every slice. */
  sliced(): void {
    const now = performance.now();
    this.#watchdog.elapse(Math.min(now - this.#last, SLICE_MAX));
    this.#last = now;
    if (interruptsOn(this.#emulator.v86.cpu)) this.#pulse = true;
  }

  /** Whether the CPU was seen with interrupts on since this was asked last: a halted one that waits for one is. */
  alive(): boolean {
    const alive = this.#pulse || interruptsOn(this.#emulator.v86.cpu);
    this.#pulse = false;
    return alive;
  }

  /** Ctrl-Alt-Del: Linux restarts at once, or tells its first process, as that one chose. */
  requestShutdown(): void {
    this.#askedToShutDown = true;
    for (const code of CTRL_ALT_DEL) this.#emulator.bus.send("keyboard-code", code);
  }

  #restarted(): Ending {
    return this.#askedToShutDown
      ? { reason: "poweroff", detail: "The card OS shut down as asked, for a restart" }
      : { reason: "restart", detail: "The card OS restarted" };
  }

  #halted(): Ending {
    const code = this.#post.code;
    const known = BY_POST_CODE.get(code);
    if (known !== undefined) {
      return {
        reason: known,
        detail: `The card OS stopped the CPU after POST code ${postText(code)}`,
      };
    }
    return this.#askedToShutDown
      ? { reason: "poweroff", detail: "The card OS shut down as asked" }
      : { reason: "halted", detail: "The card OS stopped the CPU with interrupts off" };
  }
}

const interruptsOn = (cpu: Cpu): boolean => (cpu.flags[0]! & EFLAGS_IF) !== 0;

/** From within an access: the CPU ends its slice as soon as it looks up from the current block of code. */
function stopCpu(cpu: Cpu): void {
  cpu.in_hlt[0] = 1;
  cpu.flags[0]! &= ~EFLAGS_IF;
}
