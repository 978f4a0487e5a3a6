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

/** A few lines for a terminal, as `lspci -v` would put them. */
export function describeCard(info: CardInfo): string {
  const bars = info.bars.map((bar) => {
    const kind = bar.kind === "io" ? "I/O" : bar.kind === "memory64" ? "64-bit" : "32-bit";
    const prefetchable = bar.prefetchable ? " prefetchable" : "";
    return `  BAR ${bar.index}: ${kind}${prefetchable} at ${hex(bar.address)}, ${size(bar.size)}`;
  });
  return [
    `${hex4(info.vendorId)}:${hex4(info.deviceId)}, stepping ${info.stepping}, class ${
      info.classCode.toString(16).padStart(6, "0")
    }`,
    `  ${info.platform}, ${info.memoryMib} MiB of memory, ${info.vectors} MSI vectors`,
    ...bars,
    `  capabilities: ${info.capabilities.map((c) => c.name).join(", ")}`,
  ].join("\n");
}

const hex = (value: number, digits = 1): string => `0x${value.toString(16).padStart(digits, "0")}`;
const hex4 = (value: number): string => value.toString(16).padStart(4, "0");

function size(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && bytes % 1024 === 0 && unit < units.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${bytes} ${units[unit]}`;
}
