/**
 * Finding the card: identity, BARs, capabilities, MSI; what firmware and the PCI core do on a real machine.
 *
 * Requests that do not depend on each other are in flight together, so that a probe costs four round trips.
 *
 * - **Spec:** PCI Local Bus 3.0 §6.2.5 (sizing), §6.7 (capabilities), §6.8.1 (MSI).
 * - **Invariant:** what the card answers is foreign: a card that is none, or that cannot be used, is a ProtocolError.
 *
 * @module
 */
import {
  BAR_COUNT,
  barFlags,
  barKind,
  barRegister,
  capabilities,
  CAPABILITY,
  le16,
  le32,
  MSI_CAPABILITY,
  MSI_CONTROL,
  MSI_VECTORS,
  PCI_COMMAND,
  PCI_CONFIG_SIZE,
  ProtocolError,
  REGISTER_BLOCK_SIZE,
  type Requester,
  sizedBar,
  TYPE0_HEADER,
  viewOf,
} from "../../protocol/mod.ts";
import { placeBars } from "./bus_addresses.ts";
import { capabilityName, type CardInfo, type PlacedBar, steppingName } from "./card_info.ts";
import { CardRegisters, type CardWindows } from "./card_registers.ts";

const INTEL = 0x8086;
/** Device IDs of the MIC X100 family: 15 of them. */
const FIRST_DEVICE = 0x2250;
const LAST_DEVICE = 0x225e;
const APERTURE_BAR = 0;
const REGISTER_BAR = 4;
/** Where an x86 host points MSI. The card keeps it; the message on this link carries the vector. */
const MSI_ADDRESS = 0xfee0_0000;
const ALL_ONES = 0xffff_ffff;
const MIB = 2 ** 20;

export interface Probed {
  /** All but what depends on the card being ready for a download. */
  readonly info: Omit<CardInfo, "platform">;
  readonly registers: CardRegisters;
  readonly windows: CardWindows;
}

/** Probes the card behind `requester` and leaves it decoding, bus mastering and with MSI enabled. */
export async function probe(requester: Requester, signal?: AbortSignal): Promise<Probed> {
  const config = await readConfig(requester, signal);
  const view = viewOf(config);
  checkIdentity(view);
  const bars = placeBars(await sizeBars(requester, signal));
  const windows: CardWindows = {
    aperture: needBar(bars, APERTURE_BAR, "memory64", MIB),
    registers: needBar(bars, REGISTER_BAR, undefined, REGISTER_BLOCK_SIZE),
  };
  const list = capabilities(config);
  await Promise.all([
    ...assignBars(requester, bars, signal),
    requester.configWrite(
      TYPE0_HEADER.at.command,
      2,
      PCI_COMMAND.memory_space | PCI_COMMAND.io_space | PCI_COMMAND.bus_master,
      signal,
    ),
    ...enableMsi(requester, view, list.find((c) => c.id === CAPABILITY.msi)?.at, signal),
  ]);
  const registers = new CardRegisters(requester, windows);
  const memoryMib = await registers.read("memory_mib", signal);
  if (memoryMib === 0 || memoryMib * MIB > windows.aperture.size) {
    throw new ProtocolError(
      "malformed",
      `Cannot use card: it says ${memoryMib} MiB of memory behind an aperture of ${
        windows.aperture.size / MIB
      } MiB`,
    );
  }
  const header = TYPE0_HEADER.read(view);
  const info = {
    vendorId: header.vendor_id,
    deviceId: header.device_id,
    subsystemVendorId: header.subsystem_vendor_id,
    subsystemId: header.subsystem_id,
    revision: header.revision_id,
    stepping: steppingName(header.revision_id),
    classCode: header.base_class << 16 | header.sub_class << 8 | header.programming_interface,
    bars,
    capabilities: list.map((entry) => ({ ...entry, name: capabilityName(entry.id) })),
    vectors: MSI_VECTORS,
    memoryMib,
  };
  return { info, registers, windows };
}

/** All 256 bytes of configuration space: one round trip. */
export async function readConfig(
  requester: Requester,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const config = new Uint8Array(PCI_CONFIG_SIZE);
  const view = viewOf(config);
  const reads: Promise<void>[] = [];
  for (let at = 0; at < PCI_CONFIG_SIZE; at += 4) {
    reads.push(
      requester.configRead(at, 4, signal).then((value) => le32.set(view, at, value >>> 0)),
    );
  }
  await Promise.all(reads);
  return config;
}

function checkIdentity(config: DataView): void {
  const vendor = le16.get(config, TYPE0_HEADER.at.vendor_id);
  const device = le16.get(config, TYPE0_HEADER.at.device_id);
  if (vendor !== INTEL || device < FIRST_DEVICE || device > LAST_DEVICE) {
    const found = `${hex4(vendor)}:${hex4(device)}`;
    throw new ProtocolError(
      "malformed",
      `Cannot use card: found PCI device ${found}, wanted 8086:2250 to 8086:225e`,
    );
  }
  const type = config.getUint8(TYPE0_HEADER.at.header_type) & 0x7f;
  if (type !== 0) {
    throw new ProtocolError("malformed", `Cannot use card: found header type ${type}, wanted 0`);
  }
}

/** Turns decoding off, writes all ones to every BAR and reads back: one round trip. */
async function sizeBars(requester: Requester, signal?: AbortSignal) {
  const writes = [requester.configWrite(TYPE0_HEADER.at.command, 2, 0, signal)];
  for (let index = 0; index < BAR_COUNT; index++) {
    writes.push(requester.configWrite(barRegister(index), 4, ALL_ONES, signal));
  }
  const reads: Promise<number>[] = [];
  for (let index = 0; index < BAR_COUNT; index++) {
    reads.push(requester.configRead(barRegister(index), 4, signal));
  }
  const [values] = await Promise.all([Promise.all(reads), Promise.all(writes)]);
  const bars = [];
  for (let index = 0; index < BAR_COUNT; index++) {
    const low = values[index]! >>> 0;
    const wide = low !== 0 && barKind(low) === "memory64";
    if (wide && index + 1 === BAR_COUNT) {
      throw new ProtocolError("malformed", `Cannot size BAR ${index}: 64-bit, but the last one`);
    }
    const bar = sizedBar(index, low, wide ? values[index + 1]! >>> 0 : 0);
    if (bar !== undefined) bars.push(bar);
    if (wide) index++;
  }
  return bars;
}

function assignBars(
  requester: Requester,
  bars: readonly PlacedBar[],
  signal?: AbortSignal,
): Promise<void>[] {
  const writes: Promise<void>[] = [];
  for (const bar of bars) {
    const low = (bar.address % 2 ** 32 | barFlags(bar)) >>> 0;
    writes.push(requester.configWrite(barRegister(bar.index), 4, low, signal));
    if (bar.kind === "memory64") {
      const high = Math.floor(bar.address / 2 ** 32);
      writes.push(requester.configWrite(barRegister(bar.index + 1), 4, high, signal));
    }
  }
  return writes;
}

/** Gives the card all 32 vectors, unmasked; the enable bit goes last. */
function enableMsi(
  requester: Requester,
  config: DataView,
  at: number | undefined,
  signal?: AbortSignal,
): Promise<void>[] {
  const wanted = `wanted 64-bit MSI with ${MSI_VECTORS} vectors`;
  if (at === undefined || at + MSI_CAPABILITY.size > config.byteLength) {
    throw new ProtocolError("malformed", `Cannot use card: found no MSI capability, ${wanted}`);
  }
  const control = le16.get(config, at + MSI_CAPABILITY.at.control);
  const exponent = (control >> MSI_CONTROL.capable_shift) & MSI_CONTROL.count_mask;
  if (1 << exponent !== MSI_VECTORS || !(control & MSI_CONTROL.address64)) {
    throw new ProtocolError(
      "malformed",
      `Cannot use card: found MSI control ${hex4(control)}, ${wanted}`,
    );
  }
  const write = (field: keyof typeof MSI_CAPABILITY.at, width: 2 | 4, value: number) =>
    requester.configWrite(at + MSI_CAPABILITY.at[field], width, value, signal);
  return [
    write("address_low", 4, MSI_ADDRESS),
    write("address_high", 4, 0),
    write("data", 2, 0),
    ...(control & MSI_CONTROL.per_vector_masking ? [write("mask", 4, 0)] : []),
    write("control", 2, MSI_CONTROL.enable | (exponent << MSI_CONTROL.granted_shift)),
  ];
}

function needBar(
  bars: readonly PlacedBar[],
  index: number,
  kind: PlacedBar["kind"] | undefined,
  size: number,
): { readonly address: number; readonly size: number } {
  const bar = bars.find((b) => b.index === index);
  if (
    bar === undefined || bar.kind === "io" || (kind ?? bar.kind) !== bar.kind || bar.size < size
  ) {
    const found = bar === undefined ? "none" : `${bar.kind} of ${bar.size} bytes`;
    throw new ProtocolError(
      "malformed",
      `Cannot use BAR ${index} of the card: found ${found}, wanted ${
        kind ?? "memory"
      } of at least ${size} bytes`,
    );
  }
  return { address: bar.address, size: bar.size };
}

const hex4 = (value: number): string => value.toString(16).padStart(4, "0");
