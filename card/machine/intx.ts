/**
 * INTx of one PCI function, between the device that asserts it and the interrupt controller: it shows in the status
 * register, and the command register can hold it back.
 *
 * - **Spec:** PCI Local Bus 3.0 §6.2.2 (Interrupt Disable) and §6.2.3 (Interrupt Status); virtio 1.3 §4.1.4.5.1.
 *
 * @module
 */
import { le16, PCI_COMMAND, PCI_STATUS, TYPE0_HEADER } from "../../protocol/mod.ts";
import type { InterruptLine } from "./types.ts";

const { command: COMMAND, status: STATUS } = TYPE0_HEADER.at;

export class IntxPin implements InterruptLine {
  readonly #config: DataView;
  readonly #line: InterruptLine;
  #asserted = false;

  /** `config` is the function's live configuration space; `line` goes to the interrupt controller. */
  constructor(config: DataView, line: InterruptLine) {
    this.#config = config;
    this.#line = line;
  }

  set(asserted: boolean): void {
    this.#asserted = asserted;
    this.refresh();
  }

  /** To be called when software wrote the command or status register. */
  refresh(): void {
    const status = le16.get(this.#config, STATUS) & ~PCI_STATUS.interrupt;
    le16.set(this.#config, STATUS, status | (this.#asserted ? PCI_STATUS.interrupt : 0));
    const disabled = le16.get(this.#config, COMMAND) & PCI_COMMAND.interrupt_disable;
    this.#line.set(this.#asserted && !disabled);
  }
}
