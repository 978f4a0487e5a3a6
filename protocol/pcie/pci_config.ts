/**
 * PCI configuration space, type 0 header: offsets, command and status bits, and what software may write.
 *
 * - **Spec:** PCI Local Bus 3.0 §6.1 and §6.2; PCI Express Base §7.5.1 (fields that are hardwired to 0 there).
 * - **Invariant:** a bit that no row of {@linkcode TYPE0_WRITABLE} or {@linkcode TYPE0_CLEARABLE} names is read-only.
 *   BARs are not in the table: what of them is writable follows from their size (`bar.ts`).
 *
 * @module
 */
import { layout } from "../layout.ts";
import { le16, le32, u8 } from "../scalar.ts";

/** Bytes of the configuration space that capabilities live in; a PCI Express function has EXTENDED. */
export const PCI_CONFIG_SIZE = 256;
export const PCI_CONFIG_EXTENDED_SIZE = 4096;
/** The device-dependent region, where capabilities may lie, starts here (§6.1). */
export const PCI_HEADER_SIZE = 64;
/** Base address registers of a type 0 header. */
export const BAR_COUNT = 6;

export const TYPE0_HEADER = layout({
  vendor_id: le16,
  device_id: le16,
  command: le16,
  status: le16,
  revision_id: u8,
  programming_interface: u8,
  sub_class: u8,
  base_class: u8,
  cache_line_size: u8,
  latency_timer: u8,
  header_type: u8,
  bist: u8,
  bar0: le32,
  bar1: le32,
  bar2: le32,
  bar3: le32,
  bar4: le32,
  bar5: le32,
  cardbus_cis: le32,
  subsystem_vendor_id: le16,
  subsystem_id: le16,
  expansion_rom: le32,
  capabilities_pointer: u8,
  reserved: u8,
  reserved2: le16,
  reserved3: le32,
  interrupt_line: u8,
  interrupt_pin: u8,
  min_grant: u8,
  max_latency: u8,
});

/** Register of BAR `index`. */
export const barRegister = (index: number): number => TYPE0_HEADER.at.bar0 + 4 * index;

/** Command register (§6.2.2): the bits that do something on a PCI Express function. */
export const PCI_COMMAND = {
  io_space: 1 << 0,
  memory_space: 1 << 1,
  bus_master: 1 << 2,
  parity_error_response: 1 << 6,
  serr_enable: 1 << 8,
  interrupt_disable: 1 << 10,
} as const;

/** Status register (§6.2.3): the bits used here. */
export const PCI_STATUS = { interrupt: 1 << 3, capabilities_list: 1 << 4 } as const;

/** Bits that software may write, by field. */
export const TYPE0_WRITABLE = {
  command: PCI_COMMAND.io_space | PCI_COMMAND.memory_space | PCI_COMMAND.bus_master |
    PCI_COMMAND.parity_error_response | PCI_COMMAND.serr_enable | PCI_COMMAND.interrupt_disable,
  cache_line_size: 0xff,
  interrupt_line: 0xff,
} as const satisfies Partial<Record<keyof typeof TYPE0_HEADER.at, number>>;

/** Bits that software clears by writing 1: the error bits of the status register. */
export const TYPE0_CLEARABLE = { status: 0xf900 } as const satisfies Partial<
  Record<keyof typeof TYPE0_HEADER.at, number>
>;
