/**
 * The card: a PCI Express endpoint with a CPU and memory, at the far end of a link.
 *
 * - **Room:** the card's machine. **Imports:** `protocol/`. **Imported by:** `mod.ts`, `tests/`.
 * - **Inside:** `endpoint/` is the PCIe function and its firmware, `driver/` turns what the host offers into virtio-pci
 *   functions and mirrors their rings, `machine/` is a CPU and memory and knows nothing of the link.
 *
 * @module
 */
export { type CardEvent, type CardOptions, runCard } from "./card.ts";
export { machineFactory, type MachineName, MACHINES } from "./machine/factory.ts";
export type {
  BootImage,
  BootRefused,
  CardMemory,
  InterruptLine,
  Machine,
  MachineEvents,
  MachineFactory,
  PciFunction,
} from "./machine/types.ts";
