/**
 * pvpanic: a PCI function with one register, which the stock Linux driver `pvpanic-pci` writes when the kernel panics.
 *
 * Without it a panic is seen as whatever follows it: a restart, or a CPU that spins for ever.
 *
 * - **Spec:** QEMU docs/specs/pvpanic.rst.
 *
 * @module
 */
import { le16, le32, PCI_CONFIG_SIZE, TYPE0_HEADER, u8, viewOf } from "../../../protocol/mod.ts";
import { MACHINE_SLOT, MMIO_BLOCK } from "./fixed_slots.ts";
import type { Cpu } from "./v86_types.ts";

const VENDOR_REDHAT = 0x1b36;
const DEVICE_PVPANIC = 0x0011;
const CLASS_SYSTEM = 0x08;
const SUBCLASS_OTHER = 0x80;
const ADDRESS = 0xfd00_0000;
/** Header type: there are more functions in this slot. */
const MULTI_FUNCTION = 0x80;
const BAR_SIZE = 0x1000;
/** The register: read says which events are understood, write says which one happened. */
const PANICKED = 1;

/** Plugs it in; `onPanic` is called from within an access of the CPU. */
export function plugPvpanic(cpu: Cpu, onPanic: () => void): void {
  const config = new Uint8Array(PCI_CONFIG_SIZE);
  const view = viewOf(config);
  const at = TYPE0_HEADER.at;
  le16.set(view, at.vendor_id, VENDOR_REDHAT);
  le16.set(view, at.device_id, DEVICE_PVPANIC);
  u8.set(view, at.base_class, CLASS_SYSTEM);
  u8.set(view, at.sub_class, SUBCLASS_OTHER);
  u8.set(view, at.header_type, MULTI_FUNCTION);
  le32.set(view, at.bar0, ADDRESS);
  // Addresses arrive signed.
  const offset = (address: number): number => (address >>> 0) - ADDRESS;
  cpu.io.mmap_register(
    ADDRESS,
    MMIO_BLOCK,
    (address) => offset(address) === 0 ? PANICKED : 0,
    (address, value) => {
      if (offset(address) === 0 && (value & PANICKED) !== 0) onPanic();
    },
  );
  cpu.devices.pci.register_device({
    name: "pvpanic",
    pci_id: MACHINE_SLOT << 3,
    pci_space: config,
    pci_bars: [{ size: BAR_SIZE }],
  });
}
