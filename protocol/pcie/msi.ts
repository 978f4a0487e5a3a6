/**
 * Message signalled interrupts: the MSI and MSI-X capabilities and the MSI-X table.
 *
 * On this link an interrupt is a message that carries the vector number (`MESSAGE.msi`), so the address and data that
 * software writes here are kept but not used; enable, vector count and masks mean what they always do.
 *
 * - **Spec:** PCI Local Bus 3.0 §6.8.1 (MSI, 64-bit with per-vector masking) and §6.8.2 (MSI-X).
 *
 * @module
 */
import { layout } from "../layout.ts";
import { le16, le32, u8 } from "../scalar.ts";

export const MSI_CAPABILITY = layout({
  id: u8,
  next: u8,
  control: le16,
  address_low: le32,
  address_high: le32,
  data: le16,
  reserved: le16,
  mask: le32,
  pending: le32,
});

/** MSI message control. Vector counts are powers of two, stored as the exponent. */
export const MSI_CONTROL = {
  enable: 1 << 0,
  /** Vectors the function can use: bits 3:1, read only. */
  capable_shift: 1,
  /** Vectors it was given: bits 6:4. */
  granted_shift: 4,
  count_mask: 0x7,
  address64: 1 << 7,
  per_vector_masking: 1 << 8,
} as const;
/** Bits of message control that software may write. */
export const MSI_CONTROL_WRITABLE = MSI_CONTROL.enable |
  (MSI_CONTROL.count_mask << MSI_CONTROL.granted_shift);

/** Most vectors one function has with MSI. */
export const MSI_VECTORS = 32;

/** Vectors granted by message control; the reserved exponents 6 and 7 count as 32. */
export function msiGranted(control: number): number {
  const exponent = (control >> MSI_CONTROL.granted_shift) & MSI_CONTROL.count_mask;
  return Math.min(1 << exponent, MSI_VECTORS);
}

export const MSIX_CAPABILITY = layout({
  id: u8,
  next: u8,
  control: le16,
  /** Bits 2:0 the BAR, the rest the offset in it. */
  table: le32,
  pending: le32,
});

/** MSI-X message control: bits 10:0 are the table's last index. */
export const MSIX_CONTROL = {
  last_mask: 0x7ff,
  function_mask: 1 << 14,
  enable: 1 << 15,
} as const;
/** Bits of message control that software may write. */
export const MSIX_CONTROL_WRITABLE = MSIX_CONTROL.function_mask | MSIX_CONTROL.enable;

/** One row of the MSI-X table. */
export const MSIX_ENTRY = layout({
  address_low: le32,
  address_high: le32,
  data: le32,
  vector_control: le32,
});
/** Vector control bit 0: masked. Set after reset. */
export const MSIX_ENTRY_MASKED = 1;
