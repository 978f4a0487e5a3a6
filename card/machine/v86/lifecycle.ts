/**
 * How a card OS comes to its end, and what that end is called.
 *
 * | the OS | seen as | reason |
 * | --- | --- | --- |
 * | halts with interrupts off | event of the emulator | by the POST code it left, see below |
 * | restarts (keyboard controller, chipset) | the reset line | restart |
 * | panics, with pvpanic loaded | pvpanic | crashed |
 * | triple fault | the emulator fails | crashed |
 *
 * A PC without ACPI cannot switch itself off, so `poweroff` ends as a halt does. The card's OS therefore leaves a POST
 * code before it halts: PO power off, HA halt, RS restart. One that left none and was asked to shut down has done so.
 *
 * @module
 */
import { postCode, postText, type ShutdownReason } from "../../../protocol/mod.ts";
import { PostPort } from "./post_port.ts";
import { plugPvpanic } from "./pvpanic.ts";
import type { Cpu, Emulator } from "./v86_types.ts";

const EFLAGS_IF = 1 << 9;

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
    cpu.reboot_internal = () => end({ reason: "restart", detail: "The card OS restarted" });
    plugPvpanic(cpu, () => end({ reason: "crashed", detail: "The card OS panicked" }));
  }

  /** Why the OS has ended; undefined while it runs. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** Ctrl-Alt-Del: Linux restarts at once, or tells its first process, as that one chose. */
  requestShutdown(): void {
    this.#askedToShutDown = true;
    for (const code of CTRL_ALT_DEL) this.#emulator.bus.send("keyboard-code", code);
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

/** From within an access: the CPU ends its slice as soon as it looks up from the current block of code. */
function stopCpu(cpu: Cpu): void {
  cpu.in_hlt[0] = 1;
  cpu.flags[0]! &= ~EFLAGS_IF;
}
