/**
 * The capabilities list of PCI configuration space, and the capabilities that are not interrupts.
 *
 * - **Spec:** PCI Local Bus 3.0 §6.7; PCI Bus Power Management 1.2 §3.2; PCI Express Base §7.5.3 (version 2 structure).
 * - **Invariant:** the walk is over foreign bytes: it stays in bounds and ends, whatever they are.
 *
 * @module
 */
import { ProtocolError } from "../errors.ts";
import { layout } from "../layout.ts";
import { le16, le32, u8 } from "../scalar.ts";
import { PCI_CONFIG_SIZE, PCI_HEADER_SIZE, PCI_STATUS, TYPE0_HEADER } from "./pci_config.ts";

export const CAPABILITY = {
  power_management: 0x01,
  msi: 0x05,
  vendor_specific: 0x09,
  pci_express: 0x10,
  msix: 0x11,
} as const;

/** What every capability starts with. `next` 0 ends the list. */
export const CAPABILITY_HEADER = layout({ id: u8, next: u8 });

/** One entry of the list: capability number, and its byte offset in configuration space. */
export interface Capability {
  readonly id: number;
  readonly at: number;
}

/**
 * The capabilities in list order; `config` holds at least the first 256 bytes of configuration space.
 * @throws {ProtocolError} if the list leaves the device-dependent region or never ends
 */
export function capabilities(config: Uint8Array): Capability[] {
  const list: Capability[] = [];
  const status = config[TYPE0_HEADER.at.status]! | (config[TYPE0_HEADER.at.status + 1]! << 8);
  if (!(status & PCI_STATUS.capabilities_list)) return list;
  // Each takes at least four bytes, so a longer list visits one of them twice.
  const most = (PCI_CONFIG_SIZE - PCI_HEADER_SIZE) / 4;
  let at = config[TYPE0_HEADER.at.capabilities_pointer]! & ~3;
  while (at !== 0) {
    if (at < PCI_HEADER_SIZE || list.length === most) {
      throw new ProtocolError(
        "malformed",
        `Cannot walk capabilities: offset ${at} after ${list.length} of them`,
      );
    }
    list.push({ id: config[at]!, at });
    at = config[at + CAPABILITY_HEADER.at.next]! & ~3;
  }
  return list;
}

export const POWER_MANAGEMENT_CAPABILITY = layout({
  id: u8,
  next: u8,
  /** Bits 2:0 version of the specification. */
  capabilities: le16,
  /** Bits 1:0 power state, bit 3 "no soft reset". */
  control_status: le16,
  bridge_extensions: u8,
  data: u8,
});
export const POWER_STATE_MASK = 0x3;
/** Power states a function here has; D1 and D2 are optional. */
export const POWER_STATE = { d0: 0, d3hot: 3 } as const;
/** The function keeps its configuration from D3hot to D0. */
export const POWER_NO_SOFT_RESET = 1 << 3;

/** PCI Express capability of an endpoint, version 2. Slot and root registers exist, and read as 0. */
export const PCI_EXPRESS_CAPABILITY = layout({
  id: u8,
  next: u8,
  /** Bits 3:0 version, 7:4 port type (0: endpoint). */
  capabilities: le16,
  device_capabilities: le32,
  device_control: le16,
  device_status: le16,
  link_capabilities: le32,
  link_control: le16,
  link_status: le16,
  slot_capabilities: le32,
  slot_control: le16,
  slot_status: le16,
  root_control: le16,
  root_capabilities: le16,
  root_status: le32,
  device_capabilities2: le32,
  device_control2: le16,
  device_status2: le16,
  link_capabilities2: le32,
  link_control2: le16,
  link_status2: le16,
  slot_capabilities2: le32,
  slot_control2: le16,
  slot_status2: le16,
});
