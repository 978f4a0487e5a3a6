/**
 * Interrupt lines of the plugged functions: ISA interrupts of the two 8259 interrupt controllers, level-triggered.
 *
 * Without BIOS, ACPI or MP table Linux believes the interrupt line register of each function and routes nothing, so
 * every function can have a line to itself while lines last; after that they share, as PCI lines may.
 *
 * - **Invariant:** a line is high while any of its sharers asserts it. A driver that lowers its own function must not
 *   silence its neighbour's.
 *
 * @module
 */
import type { InterruptLine } from "../types.ts";
import type { Cpu } from "./v86_types.ts";

/**
 * Lines in the order they are given out. Left out are those that devices of every PC hold: timer (0), keyboard (1),
 * cascade (2), serial port (4), clock (8), mouse (12), coprocessor (13); and those kept for hot-plug.
 */
const FREE = [5, 9, 10, 11, 14, 15, 6] as const;
/**
 * The hot-plug ports share one of them, and what comes and goes behind them another: Linux takes a function away in the
 * threaded handler of its port, and waits there until no handler of the function's own interrupt runs.
 */
const HOT_PORT = 3;
const HOT_FUNCTION = 7;
const HOT = 1 << HOT_PORT | 1 << HOT_FUNCTION;

export class IsaInterrupts {
  readonly #cpu: Cpu;
  readonly #asserted = new Uint8Array(16);
  #given = 0;

  constructor(cpu: Cpu) {
    this.#cpu = cpu;
  }

  /** Bit n: interrupt n was given to a function, or may be later, and is level-triggered. */
  get levelTriggered(): number {
    return FREE.slice(0, this.#given).reduce((mask, irq) => mask | 1 << irq, HOT);
  }

  /** The next line, for one more function. */
  allocate(): { readonly irq: number; readonly line: InterruptLine } {
    const irq = FREE[this.#given++ % FREE.length]!;
    return { irq, line: this.#share(irq) };
  }

  /** The line for one more hot-plug port. */
  forPort(): { readonly irq: number; readonly line: InterruptLine } {
    return { irq: HOT_PORT, line: this.#share(HOT_PORT) };
  }

  /** The line for one more function behind such a port. */
  forHotFunction(): { readonly irq: number; readonly line: InterruptLine } {
    return { irq: HOT_FUNCTION, line: this.#share(HOT_FUNCTION) };
  }

  #share(irq: number): InterruptLine {
    let mine = false;
    const set = (asserted: boolean): void => {
      if (asserted === mine) return;
      mine = asserted;
      if (asserted) {
        if (++this.#asserted[irq]! === 1) this.#cpu.device_raise_irq(irq);
      } else if (--this.#asserted[irq]! === 0) this.#cpu.device_lower_irq(irq);
    };
    return { set };
  }
}
