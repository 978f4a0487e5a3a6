/**
 * A card's configuration space for people, in the manner of `lspci -v`.
 *
 * The bytes are the card's, so foreign: whatever they are, this ends and stays within them. What only the probe knows
 * (the size of a BAR) comes from it.
 *
 * - **Spec:** PCI Local Bus 3.0 §6.2, §6.7, §6.8; PCI Express Base §7.5.3; PCI Bus Power Management 1.2 §3.2.
 *
 * @module
 */
import {
  capabilities,
  CAPABILITY,
  type Capability,
  le16,
  le32,
  MSI_CAPABILITY,
  MSI_CONTROL,
  msiGranted,
  MSIX_CAPABILITY,
  MSIX_CONTROL,
  PCI_COMMAND,
  PCI_CONFIG_SIZE,
  PCI_EXPRESS_CAPABILITY,
  PCI_STATUS,
  POWER_MANAGEMENT_CAPABILITY,
  POWER_STATE_MASK,
  TYPE0_HEADER,
  viewOf,
} from "../../protocol/mod.ts";
import { capabilityName, type CardInfo, type PlacedBar } from "../driver/card_info.ts";

/** Only what a card here can be; `lspci` has a database. */
const CLASSES: Readonly<Record<number, string>> = { 0x0b40: "Co-processor" };
const VENDORS: Readonly<Record<number, string>> = { 0x8086: "Intel Corporation" };
const PORT_TYPES: Readonly<Record<number, string>> = { 0: "Endpoint", 1: "Legacy Endpoint" };
const LINK_SPEEDS: Readonly<Record<number, string>> = {
  1: "2.5GT/s",
  2: "5GT/s",
  3: "8GT/s",
  4: "16GT/s",
};
const POWER_STATES = ["D0", "D1", "D2", "D3hot"];

/** Lines of text, each ended. `config` is 256 bytes. */
export function lspci(
  config: Uint8Array,
  info: Pick<CardInfo, "bars" | "stepping">,
): string {
  if (config.length < PCI_CONFIG_SIZE) {
    throw new RangeError(
      `Cannot decode configuration space: found ${config.length} bytes, wanted ${PCI_CONFIG_SIZE}`,
    );
  }
  const view = viewOf(config);
  const header = TYPE0_HEADER.read(view);
  const classCode = header.base_class << 8 | header.sub_class;
  const lines = [
    `${CLASSES[classCode] ?? "Device"} [${hex(classCode, 4)}]: ` +
    `${VENDORS[header.vendor_id] ?? "Vendor"} MIC X100 family ` +
    `[${hex(header.vendor_id, 4)}:${hex(header.device_id, 4)}] ` +
    `(rev ${hex(header.revision_id, 2)}, stepping ${info.stepping})`,
    `\tSubsystem: ${hex(header.subsystem_vendor_id, 4)}:${hex(header.subsystem_id, 4)}`,
    `\tControl: ${flags(header.command, COMMAND_NAMES)}`,
    `\tStatus: ${flags(header.status, { Cap: PCI_STATUS.capabilities_list, INTx: 1 << 3 })}`,
    ...interrupt(header),
    ...info.bars.map((bar) => `\t${region(bar)}`),
    ...capabilityLines(config),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

const COMMAND_NAMES = {
  "I/O": PCI_COMMAND.io_space,
  Mem: PCI_COMMAND.memory_space,
  BusMaster: PCI_COMMAND.bus_master,
  ParErr: PCI_COMMAND.parity_error_response,
  SERR: PCI_COMMAND.serr_enable,
  DisINTx: PCI_COMMAND.interrupt_disable,
};

function interrupt({ interrupt_pin: pin }: { readonly interrupt_pin: number }): string[] {
  if (pin === 0) return [];
  return [`\tInterrupt: pin ${pin <= 4 ? "-ABCD"[pin] : hex(pin, 2)}`];
}

function region({ index, kind, prefetchable, address, size }: PlacedBar): string {
  if (kind === "io") {
    return `Region ${index}: I/O ports at ${hex(address, 4)} [size=${short(size)}]`;
  }
  const width = kind === "memory64" ? "64-bit" : "32-bit";
  const digits = kind === "memory64" ? 16 : 8;
  return `Region ${index}: Memory at ${hex(address, digits)} ` +
    `(${width}, ${prefetchable ? "" : "non-"}prefetchable) [size=${short(size)}]`;
}

function capabilityLines(config: Uint8Array): string[] {
  try {
    return capabilities(config).flatMap((entry) => capability(viewOf(config), entry));
  } catch (error) {
    return [`\tCapabilities: ${(error as Error).message}`];
  }
}

function capability(view: DataView, { id, at }: Capability): string[] {
  const [first, ...rest] = decoded(view, id, at) ?? [upperFirst(capabilityName(id))];
  return [`\tCapabilities: [${hex(at, 2)}] ${first}`, ...rest.map((line) => `\t\t${line}`)];
}

/** Undefined for one that is not decoded here, or does not fit. */
function decoded(view: DataView, id: number, at: number): string[] | undefined {
  const decoder = DECODERS[id];
  return decoder && at + decoder.size <= view.byteLength ? decoder.lines(view, at) : undefined;
}

interface Decoder {
  /** Bytes that it looks at. */
  readonly size: number;
  lines(view: DataView, at: number): string[];
}

const DECODERS: Readonly<Record<number, Decoder>> = {
  [CAPABILITY.power_management]: {
    size: POWER_MANAGEMENT_CAPABILITY.size,
    lines(view, at) {
      const { capabilities, control_status } = POWER_MANAGEMENT_CAPABILITY.read(view, at);
      return [
        `Power Management version ${capabilities & 7}`,
        `Status: ${POWER_STATES[control_status & POWER_STATE_MASK]} ${
          flags(control_status, { NoSoftRst: 1 << 3 })
        }`,
      ];
    },
  },
  [CAPABILITY.msi]: {
    size: MSI_CAPABILITY.size,
    lines(view, at) {
      const control = le16.get(view, at + MSI_CAPABILITY.at.control);
      const capable = 1 << ((control >> MSI_CONTROL.capable_shift) & MSI_CONTROL.count_mask);
      const names = {
        Maskable: MSI_CONTROL.per_vector_masking,
        "64bit": MSI_CONTROL.address64,
      };
      const state = control & MSI_CONTROL.enable ? "Enable+" : "Enable-";
      return [`MSI: ${state} Count=${msiGranted(control)}/${capable} ${flags(control, names)}`];
    },
  },
  [CAPABILITY.msix]: {
    size: MSIX_CAPABILITY.size,
    lines(view, at) {
      const { control, table, pending } = MSIX_CAPABILITY.read(view, at);
      const place = (value: number) => `BAR=${value & 7} offset=${hex((value & ~7) >>> 0, 8)}`;
      const state = control & MSIX_CONTROL.enable ? "Enable+" : "Enable-";
      return [
        `MSI-X: ${state} Count=${(control & MSIX_CONTROL.last_mask) + 1} ${
          flags(control, { Masked: MSIX_CONTROL.function_mask })
        }`,
        `Vector table: ${place(table)}`,
        `PBA: ${place(pending)}`,
      ];
    },
  },
  [CAPABILITY.pci_express]: {
    // The part that every function has.
    size: PCI_EXPRESS_CAPABILITY.at.slot_capabilities,
    lines(view, at) {
      const { at: offset } = PCI_EXPRESS_CAPABILITY;
      const capabilities = le16.get(view, at + offset.capabilities);
      const device = le32.get(view, at + offset.device_capabilities);
      const control = le16.get(view, at + offset.device_control);
      const type = (capabilities >> 4) & 0xf;
      const payload = (bits: number) => 128 << (bits & 7);
      return [
        `Express (v${capabilities & 0xf}) ${PORT_TYPES[type] ?? `Port type ${type}`}`,
        `DevCap: MaxPayload ${payload(device)} bytes`,
        `DevCtl: MaxPayload ${payload(control >> 5)} bytes, MaxReadReq ${
          payload(control >> 12)
        } bytes`,
        `LnkCap: ${linkText(le32.get(view, at + offset.link_capabilities))}`,
        `LnkSta: ${linkText(le16.get(view, at + offset.link_status))}`,
      ];
    },
  },
};

const linkText = (bits: number): string =>
  `Speed ${LINK_SPEEDS[bits & 0xf] ?? `code ${bits & 0xf}`}, Width x${(bits >> 4) & 0x3f}`;

/** `Mem+ BusMaster-`. */
const flags = (value: number, names: Readonly<Record<string, number>>): string =>
  Object.entries(names).map(([name, bit]) => `${name}${value & bit ? "+" : "-"}`).join(" ");

/** `128M`, as lspci has it. */
function short(bytes: number): string {
  const unit = ["", "K", "M", "G", "T"].findLastIndex((_, power) => bytes % 1024 ** power === 0);
  return `${bytes / 1024 ** unit}${["", "K", "M", "G", "T"][unit]}`;
}

const upperFirst = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");
