/**
 * A PCI Express root port with one hot-plug slot behind it: how a function comes and goes while the card OS runs.
 *
 * The slot has no power controller, latch, button or lamp, and can be pulled by surprise: what the OS gets is presence
 * and link state, and an interrupt when they change. There is no command that takes time (No Command Completed Support).
 * An I/O access is not checked against the port's window: nothing else is on the bus that it could reach.
 *
 * - **Spec:** PCI-to-PCI Bridge 1.2 §3.2 (type 1 header); PCI Express Base §7.5.3 (capability), §6.7 (hot-plug).
 * - **Invariant:** presence and link state change together, and each change is latched until software clears it.
 *
 * @module
 */
import {
  CAPABILITY,
  le16,
  le32,
  PCI_CONFIG_SIZE,
  PCI_EXPRESS_CAPABILITY,
  PCI_HEADER_SIZE,
  PCI_STATUS,
  TYPE0_HEADER,
  TYPE0_WRITABLE,
  u8,
  viewOf,
} from "../../../protocol/mod.ts";
import { IntxPin } from "../intx.ts";
import { writeMasked } from "../pci_writable.ts";
import type { InterruptLine } from "../types.ts";

/** Of a common Intel root port, which drivers know as one without peculiarities. */
const VENDOR_ID = 0x8086;
const DEVICE_ID = 0x3420;
const CLASS_BRIDGE = 0x06;
const SUBCLASS_PCI_BRIDGE = 0x04;
/** Type 1, of a device with several functions. */
const HEADER_TYPE = 0x81;
/** INTA#. */
const PIN_A = 1;

/** Type 1 header: byte offsets where it differs from type 0, and what software may write there. */
const TYPE1 = {
  primary_bus: 0x18,
  secondary_bus: 0x19,
  subordinate_bus: 0x1a,
  /** 16-bit I/O, 4 KiB granular. */
  io_base: 0x1c,
  io_limit: 0x1d,
  memory_base: 0x20,
  memory_limit: 0x22,
  bridge_control: 0x3e,
} as const;
/** Base above limit: the window is closed. */
const CLOSED = { io: 0xf0, memory: 0xfff0 } as const;

const EXPRESS = PCI_HEADER_SIZE;
const at = PCI_EXPRESS_CAPABILITY.at;
/** Version 2, root port, with a slot. */
const EXPRESS_FLAGS = 0x0002 | 4 << 4 | 1 << 8;
/** 2.5 GT/s, one lane; in capabilities also that the link's state can be read. */
const LINK = 1 | 1 << 4;
const LINK_ACTIVE_REPORTING = 1 << 20;
const LINK_ACTIVE = 1 << 13;
/** Slot capabilities: surprise removal, hot-plug, no command completed; the slot's number goes to bits 31:19. */
const SLOT = 1 << 5 | 1 << 6 | 1 << 18;
const SLOT_NUMBER_SHIFT = 19;
const SLOT_STATUS = { presenceChanged: 1 << 3, present: 1 << 6, linkChanged: 1 << 8 } as const;
/** Slot control: which changes interrupt, and whether any does. */
const SLOT_CONTROL = { presence: 1 << 3, interrupt: 1 << 5, link: 1 << 12 } as const;

export class HotPort {
  /** Its function behind bus 0, and the bus that it leads to. */
  readonly config: Uint8Array = new Uint8Array(PCI_CONFIG_SIZE);
  readonly #view = viewOf(this.config);
  readonly #mask = writable();
  readonly #pin: IntxPin;

  /** `number` counts from 1, and is the number of the slot and of its bus until software says otherwise. */
  constructor(number: number, irq: number, line: InterruptLine) {
    const view = this.#view;
    const header = TYPE0_HEADER.at;
    le16.set(view, header.vendor_id, VENDOR_ID);
    le16.set(view, header.device_id, DEVICE_ID);
    le16.set(view, header.status, PCI_STATUS.capabilities_list);
    u8.set(view, header.sub_class, SUBCLASS_PCI_BRIDGE);
    u8.set(view, header.base_class, CLASS_BRIDGE);
    u8.set(view, header.header_type, HEADER_TYPE);
    u8.set(view, TYPE1.secondary_bus, number);
    u8.set(view, TYPE1.subordinate_bus, number);
    u8.set(view, TYPE1.io_base, CLOSED.io);
    le16.set(view, TYPE1.memory_base, CLOSED.memory);
    u8.set(view, header.capabilities_pointer, EXPRESS);
    u8.set(view, header.interrupt_line, irq);
    u8.set(view, header.interrupt_pin, PIN_A);
    u8.set(view, EXPRESS, CAPABILITY.pci_express);
    le16.set(view, EXPRESS + at.capabilities, EXPRESS_FLAGS);
    le32.set(
      view,
      EXPRESS + at.link_capabilities,
      (LINK | LINK_ACTIVE_REPORTING | number << 24) >>> 0,
    );
    le16.set(view, EXPRESS + at.link_status, LINK);
    le32.set(view, EXPRESS + at.slot_capabilities, (SLOT | number << SLOT_NUMBER_SHIFT) >>> 0);
    this.#pin = new IntxPin(view, line);
  }

  /** Number of the bus behind it. */
  get bus(): number {
    return u8.get(this.#view, TYPE1.secondary_bus);
  }

  /** Something is in the slot, or nothing; before the OS runs nobody hears of a change. */
  setPresent(present: boolean): void {
    const link = le16.get(this.#view, EXPRESS + at.link_status) & ~LINK_ACTIVE;
    le16.set(this.#view, EXPRESS + at.link_status, link | (present ? LINK_ACTIVE : 0));
    le16.set(
      this.#view,
      EXPRESS + at.slot_status,
      SLOT_STATUS.presenceChanged | SLOT_STATUS.linkChanged | (present ? SLOT_STATUS.present : 0),
    );
    this.#refresh();
  }

  /** Software writes configuration space. */
  write(offset: number, width: number, value: number): void {
    writeMasked(this.config, this.#mask, offset, width, value);
    const clear = SLOT_STATUS.presenceChanged | SLOT_STATUS.linkChanged;
    for (let i = 0; i < width; i++) {
      const byte = offset + i - EXPRESS - at.slot_status;
      if (byte !== 0 && byte !== 1) continue;
      this.config[offset + i]! &= ~((value >>> 8 * i) & (clear >>> 8 * byte) & 0xff);
    }
    this.#refresh();
  }

  #refresh(): void {
    const control = le16.get(this.#view, EXPRESS + at.slot_control);
    const status = le16.get(this.#view, EXPRESS + at.slot_status);
    const presence = (status & SLOT_STATUS.presenceChanged) && (control & SLOT_CONTROL.presence);
    const link = (status & SLOT_STATUS.linkChanged) && (control & SLOT_CONTROL.link);
    this.#pin.set((control & SLOT_CONTROL.interrupt) !== 0 && (presence | link) !== 0);
  }
}

/** Bits of configuration space that software may write, a byte for each. */
function writable(): Uint8Array {
  const mask = new Uint8Array(PCI_CONFIG_SIZE);
  const view = viewOf(mask);
  const header = TYPE0_HEADER.at;
  le16.set(view, header.command, TYPE0_WRITABLE.command);
  u8.set(view, header.cache_line_size, TYPE0_WRITABLE.cache_line_size);
  u8.set(view, header.interrupt_line, TYPE0_WRITABLE.interrupt_line);
  for (const bus of [TYPE1.primary_bus, TYPE1.secondary_bus, TYPE1.subordinate_bus]) {
    u8.set(view, bus, 0xff);
  }
  u8.set(view, TYPE1.io_base, 0xf0);
  u8.set(view, TYPE1.io_limit, 0xf0);
  le16.set(view, TYPE1.memory_base, 0xfff0);
  le16.set(view, TYPE1.memory_limit, 0xfff0);
  // Nothing but the parity and error bits, which have nothing to say.
  le16.set(view, TYPE1.bridge_control, 0x0003);
  le16.set(view, EXPRESS + at.device_control, 0x7fff);
  le16.set(view, EXPRESS + at.link_control, 0x00ff);
  le16.set(view, EXPRESS + at.slot_control, 0x1fff);
  le16.set(view, EXPRESS + at.root_control, 0x001f);
  return mask;
}
