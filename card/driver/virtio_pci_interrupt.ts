/**
 * The interrupt of a virtio-pci function without MSI-X: ISR status and INTx (virtio 1.3 §4.1.4.5).
 *
 * Invariant: the line is high exactly while a cause is set that the driver has not read.
 *
 * @module
 */
import type { InterruptLine } from "../machine/types.ts";

export class InterruptStatus {
  #line: InterruptLine | undefined;
  #causes = 0;

  connect(line: InterruptLine): void {
    this.#line = line;
  }

  /** Interrupts the driver for `cause`, a bit of ISR status. */
  raise(cause: number): void {
    this.#causes |= cause;
    this.#line?.set(true);
  }

  /** Reading tells the causes once, and lowers the line. */
  read(): number {
    const causes = this.#causes;
    this.clear();
    return causes;
  }

  clear(): void {
    this.#causes = 0;
    this.#line?.set(false);
  }
}
