/**
 * What the probe found out about a card, for people and programs.
 *
 * @module
 */
import { type Bar, CAPABILITY, type Capability, PLATFORM } from "../../protocol/mod.ts";

/** A BAR with the bus address the host gave it. */
export interface PlacedBar extends Bar {
  readonly address: number;
}

/** Plain data: it survives JSON. */
export interface CardInfo {
  readonly vendorId: number;
  readonly deviceId: number;
  readonly subsystemVendorId: number;
  readonly subsystemId: number;
  readonly revision: number;
  /** Stepping of the MIC X100, by revision: `A0`, `B0`, `B1`, `C0`, or `0x…` for one it never had. */
  readonly stepping: string;
  /** 24 bits: base class, subclass, programming interface. */
  readonly classCode: number;
  readonly bars: readonly PlacedBar[];
  readonly capabilities: readonly (Capability & { readonly name: string })[];
  /** MSI vectors enabled. */
  readonly vectors: number;
  /** What runs the card's CPU: `v86`, `diag`, or `platform 0x…` for one unknown here. */
  readonly platform: string;
  /** Card memory. */
  readonly memoryMib: number;
}

const STEPPINGS: Readonly<Record<number, string>> = { 0: "A0", 16: "B0", 17: "B1", 32: "C0" };

export const steppingName = (revision: number): string => STEPPINGS[revision] ?? hex(revision, 2);

/** Name of the machine in the platform register's low byte. */
export function platformName(platform: number): string {
  for (const [name, number] of Object.entries(PLATFORM)) {
    if (number === (platform & 0xff)) return name;
  }
  return `platform ${hex(platform & 0xff, 2)}`;
}

export function capabilityName(id: number): string {
  for (const [name, number] of Object.entries(CAPABILITY)) {
    if (number === id) return name.replaceAll("_", " ");
  }
  return `capability ${hex(id, 2)}`;
}

const hex = (value: number, digits = 1): string => `0x${value.toString(16).padStart(digits, "0")}`;
