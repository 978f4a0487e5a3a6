/**
 * The card's PCI function: who it is, which BARs it has, and where its capabilities lie.
 *
 *     00 type 0 header: 8086:225c, class 0b4000 (co-processor), no INTx pin
 *     40 power management: D0 and D3hot, configuration kept
 *     50 MSI: 32 vectors, 64-bit address, per-vector masking
 *     70 MSI-X: 32 entries, table at BAR 4 + c000, pending bits at BAR 4 + d000
 *     80 PCI Express endpoint, 5 GT/s x16 as the MIC X100
 *
 * MSI-X table and pending bits have a 4 KiB page each in the DBOX half, behind the doorbells (8000 to 80ff), so that
 * they share no page with other registers (PCI Local Bus 3.0 §6.8.2).
 *
 * @module
 */
import {
  type Bar,
  barFlags,
  barMask,
  barRegister,
  CAPABILITY,
  IO_BAR,
  layout,
  le32,
  MSI_CAPABILITY,
  MSI_CONTROL,
  MSI_CONTROL_WRITABLE,
  MSI_VECTORS,
  MSIX_CAPABILITY,
  MSIX_CONTROL_WRITABLE,
  PCI_EXPRESS_CAPABILITY,
  PCI_STATUS,
  POWER_MANAGEMENT_CAPABILITY,
  POWER_NO_SOFT_RESET,
  POWER_STATE_MASK,
  REGISTER_BLOCK_SIZE,
  TYPE0_CLEARABLE,
  TYPE0_HEADER,
  TYPE0_WRITABLE,
} from "../../protocol/mod.ts";
import { ConfigSpace } from "./config_space.ts";

const BAR_SINGLE = layout({ low: le32 });
const BAR_PAIR = layout({ low: le32, high: le32 });

/** What distinguishes one model of the card from another. */
export interface CardIdentity {
  /** PCI device number, 2250 to 225e (hex). */
  readonly device: number;
  /** Stepping: A0 = 00, B0 = 10, B1 = 11, C0 = 20 (hex). */
  readonly revision: number;
}

/** A B1 stepping of the 7120 series. */
export const DEFAULT_IDENTITY: CardIdentity = { device: 0x225c, revision: 0x11 };

const VENDOR_INTEL = 0x8086;

/** Offsets in configuration space; the list is in this order. */
export const CAPABILITY_AT = {
  power_management: 0x40,
  msi: 0x50,
  msix: 0x70,
  pci_express: 0x80,
} as const;

/** MSI-X structures, offsets in BAR 4. */
export const MSIX_TABLE_OFFSET = 0xc000;
export const MSIX_PENDING_OFFSET = 0xd000;
export const MSIX_PENDING_SIZE = 8;
const MSIX_BAR = 4;

/** BAR 0 aperture, BAR 2 ports, BAR 4 register block. */
export interface CardBars {
  readonly aperture: Bar;
  readonly ports: Bar;
  readonly registers: Bar;
}

/** @param apertureSize bytes, a power of two */
export function cardBars(apertureSize: number): CardBars {
  return {
    aperture: { index: 0, kind: "memory64", prefetchable: true, size: apertureSize },
    ports: { index: 2, kind: "io", prefetchable: false, size: IO_BAR.size },
    registers: {
      index: MSIX_BAR,
      kind: "memory32",
      prefetchable: false,
      size: REGISTER_BLOCK_SIZE,
    },
  };
}

/** Configuration space as it is after power on. */
export function cardFunction(identity: CardIdentity, bars: CardBars): ConfigSpace {
  const config = new ConfigSpace();
  config.declare(
    0,
    TYPE0_HEADER,
    {
      vendor_id: VENDOR_INTEL,
      device_id: identity.device,
      status: PCI_STATUS.capabilities_list,
      revision_id: identity.revision,
      sub_class: 0x40,
      base_class: 0x0b,
      subsystem_vendor_id: VENDOR_INTEL,
      subsystem_id: 0x2500,
      capabilities_pointer: CAPABILITY_AT.power_management,
    },
    TYPE0_WRITABLE,
    TYPE0_CLEARABLE,
  );
  for (const bar of [bars.aperture, bars.ports, bars.registers]) {
    const registers = bar.kind === "memory64" ? BAR_PAIR : BAR_SINGLE;
    config.declare(barRegister(bar.index), registers, { low: barFlags(bar) }, barMask(bar));
  }
  declarePowerManagement(config);
  declareInterrupts(config);
  declarePciExpress(config);
  return config;
}

function declarePowerManagement(config: ConfigSpace): void {
  config.declare(CAPABILITY_AT.power_management, POWER_MANAGEMENT_CAPABILITY, {
    id: CAPABILITY.power_management,
    next: CAPABILITY_AT.msi,
    capabilities: 3,
    control_status: POWER_NO_SOFT_RESET,
  }, { control_status: POWER_STATE_MASK });
}

function declareInterrupts(config: ConfigSpace): void {
  config.declare(CAPABILITY_AT.msi, MSI_CAPABILITY, {
    id: CAPABILITY.msi,
    next: CAPABILITY_AT.msix,
    control: (Math.log2(MSI_VECTORS) << MSI_CONTROL.capable_shift) | MSI_CONTROL.address64 |
      MSI_CONTROL.per_vector_masking,
  }, {
    control: MSI_CONTROL_WRITABLE,
    address_low: 0xffff_fffc,
    address_high: 0xffff_ffff,
    data: 0xffff,
    mask: 0xffff_ffff,
  });
  config.declare(CAPABILITY_AT.msix, MSIX_CAPABILITY, {
    id: CAPABILITY.msix,
    next: CAPABILITY_AT.pci_express,
    control: MSI_VECTORS - 1,
    table: MSIX_TABLE_OFFSET | MSIX_BAR,
    pending: MSIX_PENDING_OFFSET | MSIX_BAR,
  }, { control: MSIX_CONTROL_WRITABLE });
}

/** Figures of the bus it would sit on: nothing here depends on them, software that lists devices shows them. */
function declarePciExpress(config: ConfigSpace): void {
  const speed5GTx16 = 2 | (16 << 4);
  const roleBasedErrors = 1 << 15;
  const payload256 = 1;
  const readRequest512 = 2 << 12;
  config.declare(CAPABILITY_AT.pci_express, PCI_EXPRESS_CAPABILITY, {
    id: CAPABILITY.pci_express,
    capabilities: 2,
    device_capabilities: roleBasedErrors | payload256,
    device_control: readRequest512,
    link_capabilities: speed5GTx16,
    link_status: speed5GTx16,
    link_capabilities2: 0x6,
    link_control2: 2,
  }, {
    // Error reporting, relaxed ordering, payload size, no snoop, read request size.
    device_control: 0x78ff,
    // Read completion boundary, common clock configuration.
    link_control: 0x0048,
  }, { device_status: 0x000f });
}
