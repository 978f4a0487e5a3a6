// Golden: sizes and offsets as the specifications print them.
import { assertEquals } from "@std/assert";
import {
  PCI_EXPRESS_CAPABILITY,
  POWER_MANAGEMENT_CAPABILITY,
} from "../../protocol/pcie/capabilities.ts";
import {
  MSI_CAPABILITY,
  msiGranted,
  MSIX_CAPABILITY,
  MSIX_ENTRY,
} from "../../protocol/pcie/msi.ts";
import { barRegister, TYPE0_HEADER } from "../../protocol/pcie/pci_config.ts";
import { ADOPT_SIGNAL, BOOT_SIGNAL, DOWNLOAD_INFO } from "../../protocol/pcie/registers.ts";

Deno.test("TYPE0_HEADER is laid out as PCI Local Bus 3.0 §6.1", () => {
  assertEquals(TYPE0_HEADER.size, 0x40);
  const { at } = TYPE0_HEADER;
  assertEquals(
    [at.command, at.status, at.revision_id, at.base_class, at.header_type, at.bar0, at.bar5],
    [0x04, 0x06, 0x08, 0x0b, 0x0e, 0x10, 0x24],
  );
  assertEquals(
    [at.subsystem_vendor_id, at.capabilities_pointer, at.interrupt_line, at.interrupt_pin],
    [0x2c, 0x34, 0x3c, 0x3d],
  );
  assertEquals([0, 1, 2, 3, 4, 5].map(barRegister), [0x10, 0x14, 0x18, 0x1c, 0x20, 0x24]);
});

Deno.test("MSI_CAPABILITY is the 64-bit format with masks of PCI Local Bus 3.0 §6.8.1", () => {
  assertEquals(MSI_CAPABILITY.size, 0x18);
  const { at } = MSI_CAPABILITY;
  assertEquals([at.control, at.address_low, at.address_high], [0x02, 0x04, 0x08]);
  assertEquals([at.data, at.mask, at.pending], [0x0c, 0x10, 0x14]);
});

Deno.test("MSIX_CAPABILITY and MSIX_ENTRY are laid out as PCI Local Bus 3.0 §6.8.2", () => {
  assertEquals([MSIX_CAPABILITY.size, MSIX_ENTRY.size], [12, 16]);
  assertEquals([MSIX_CAPABILITY.at.table, MSIX_CAPABILITY.at.pending], [4, 8]);
  assertEquals(MSIX_ENTRY.at.vector_control, 12);
});

Deno.test("PCI_EXPRESS_CAPABILITY and POWER_MANAGEMENT_CAPABILITY have their published sizes", () => {
  assertEquals([PCI_EXPRESS_CAPABILITY.size, POWER_MANAGEMENT_CAPABILITY.size], [0x3c, 8]);
  const { at } = PCI_EXPRESS_CAPABILITY;
  assertEquals([at.device_control, at.link_capabilities, at.link_status], [0x08, 0x0c, 0x12]);
  assertEquals([at.device_capabilities2, at.link_capabilities2], [0x24, 0x2c]);
});

Deno.test("msiGranted() is the power of two in bits 6:4, at most 32", () => {
  assertEquals([0x00, 0x10, 0x50, 0x60, 0x70, 0x8f].map(msiGranted), [1, 2, 32, 32, 32, 1]);
});

Deno.test("the boot and adopt signals, and the bits of DOWNLOAD_INFO, are those of protocol/README.md", () => {
  assertEquals([BOOT_SIGNAL, ADOPT_SIGNAL], [0x20e5, 0x20e6]);
  assertEquals(DOWNLOAD_INFO, { ready: 1, adoptable: 2 });
});
