/**
 * The device status field: its bits, and how a driver may move it (virtio 1.3 §2.1, §3.1.1).
 *
 * The driver writes the whole byte; it only ever adds bits, in the order of the initialisation sequence, or writes 0
 * to reset the device. DEVICE_NEEDS_RESET is the device's own bit: what the driver writes there is ignored.
 *
 * @module
 */

/** Bits (§2.1). */
export const DEVICE_STATUS = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  DEVICE_NEEDS_RESET: 64,
  FAILED: 128,
} as const;

/** How far a driver has come. */
export type StatusPhase =
  | "reset"
  | "acknowledged"
  | "driver"
  | "features_ok"
  | "driver_ok"
  | "failed";

const A = DEVICE_STATUS.ACKNOWLEDGE;
const D = A | DEVICE_STATUS.DRIVER;
const F = D | DEVICE_STATUS.FEATURES_OK;
const OK = F | DEVICE_STATUS.DRIVER_OK;

/**
 * Row: where the driver is. Cell: where the status it writes takes it. No cell: against the rules. Writing 0 resets
 * from everywhere and FAILED gives up from everywhere, so they have no column. Steps 2 and 3 of §3.1.1 may come in
 * one write, as firmware does it.
 */
const NEXT: Readonly<Record<StatusPhase, Readonly<Record<number, StatusPhase>>>> = {
  reset: { [A]: "acknowledged", [D]: "driver" },
  acknowledged: { [A]: "acknowledged", [D]: "driver" },
  driver: { [D]: "driver", [F]: "features_ok" },
  features_ok: { [F]: "features_ok", [OK]: "driver_ok" },
  driver_ok: { [OK]: "driver_ok" },
  failed: {},
};

/** Where writing `status` takes a driver, or undefined if the rules forbid it there. */
export function nextStatus(phase: StatusPhase, status: number): StatusPhase | undefined {
  const written = status & ~DEVICE_STATUS.DEVICE_NEEDS_RESET;
  if (written === 0) return "reset";
  if (written & DEVICE_STATUS.FAILED) return "failed";
  return NEXT[phase][written];
}
