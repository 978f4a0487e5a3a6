/**
 * What a virtio-pci function looks like before anything runs on it: PCI configuration space, and where the virtio
 * structures lie in its one I/O BAR (virtio 1.3 §4.1.2 and §4.1.4).
 *
 *     0x00  common configuration        0x40  notify, one address a queue
 *     0x38  ISR status                  0x80 or later  device configuration
 *
 * Up to 16 queues and 128 bytes of device configuration this is 256 bytes, the most PCI wants an I/O BAR to have; with
 * more queues their addresses move closer together.
 *
 * @module
 */
import {
  barFlags,
  CAPABILITY,
  CAPABILITY_HEADER,
  le16,
  le32,
  PCI_CONFIG_SIZE,
  PCI_HEADER_SIZE,
  PCI_STATUS,
  TYPE0_HEADER,
  u8,
  viewOf,
  virtioPci,
} from "../../protocol/mod.ts";

const { CFG_TYPE, COMMON_CFG_BASE_SIZE, NOTIFY_TAIL, PCI_TAIL } = virtioPci;

/** A piece of the BAR, in bytes. */
export interface Structure {
  readonly offset: number;
  readonly length: number;
}

/** Where the structures of one function lie in its BAR 0. */
export interface BarMap {
  readonly common: Structure;
  readonly isr: Structure;
  /** Queue q's notify address is `offset + q * multiplier`. */
  readonly notify: Structure & { readonly multiplier: number };
  /** Length 0: the device has no configuration space. */
  readonly device: Structure;
  /** Bytes of the BAR, a power of two. */
  readonly size: number;
}

const NOTIFY_OFFSET = 0x40;
const DEVICE_OFFSET = 0x80;
const BAR_SIZE = 0x100;
const NOTIFY_ALIGN = 0x40;

/** The BAR of a device with this many queues and bytes of device configuration. */
export function barMap(queues: number, configLength: number): BarMap {
  // The multiplier is a power of two (§4.1.4.4.1); 2 still gives each queue the 16 bits that a notification writes.
  const multiplier = queues <= 16 ? 4 : 2;
  const length = queues * multiplier;
  const device = Math.max(
    DEVICE_OFFSET,
    NOTIFY_OFFSET + Math.ceil(length / NOTIFY_ALIGN) * NOTIFY_ALIGN,
  );
  let size = BAR_SIZE;
  while (size < device + configLength) size *= 2;
  return {
    common: { offset: 0, length: COMMON_CFG_BASE_SIZE },
    isr: { offset: COMMON_CFG_BASE_SIZE, length: 1 },
    notify: { offset: NOTIFY_OFFSET, length, multiplier },
    device: { offset: device, length: configLength },
    size,
  };
}

/** PCI class by virtio device type: base class << 8 | sub-class. */
const CLASS: Readonly<Record<number, number>> = {
  1: 0x0200, // Ethernet controller
  2: 0x0100, // SCSI storage controller: what drivers and lspci know virtio disks as
  3: 0x0780, // other communication controller
};
const UNCLASSIFIED = 0x00ff;
/** Non-transitional functions have revision 1 or higher (§4.1.2.1). */
const REVISION = 1;
const INTERRUPT_PIN_A = 1;

/** 256 bytes of PCI configuration space for a device of virtio type `type`. BAR 0 is unassigned. */
export function virtioPciConfig(type: number, bar: BarMap): Uint8Array {
  const config = new Uint8Array(PCI_CONFIG_SIZE);
  const view = viewOf(config);
  const at = TYPE0_HEADER.at;
  const deviceId = virtioPci.DEVICE_ID_BASE + type;
  const deviceClass = CLASS[type] ?? UNCLASSIFIED;
  le16.set(view, at.vendor_id, virtioPci.VENDOR_ID);
  le16.set(view, at.device_id, deviceId);
  le16.set(view, at.status, PCI_STATUS.capabilities_list);
  u8.set(view, at.revision_id, REVISION);
  u8.set(view, at.sub_class, deviceClass & 0xff);
  u8.set(view, at.base_class, deviceClass >> 8);
  le32.set(
    view,
    at.bar0,
    barFlags({ index: 0, kind: "io", prefetchable: false, size: bar.size }),
  );
  le16.set(view, at.subsystem_vendor_id, virtioPci.VENDOR_ID);
  le16.set(view, at.subsystem_id, deviceId);
  u8.set(view, at.interrupt_pin, INTERRUPT_PIN_A);

  let next = PCI_HEADER_SIZE;
  let link: number = at.capabilities_pointer;
  const add = (cfgType: number, where: Structure, tail: number): number => {
    const length = virtioPci.CAPABILITY.size + tail;
    u8.set(view, link, next);
    virtioPci.CAPABILITY.write(view, {
      cap_vndr: CAPABILITY.vendor_specific,
      cap_next: 0,
      cap_len: length,
      cfg_type: cfgType,
      bar: 0,
      id: 0,
      padding0: 0,
      padding1: 0,
      offset: where.offset,
      length: where.length,
    }, next);
    const start = next;
    link = next + CAPABILITY_HEADER.at.next;
    next += length;
    return start;
  };
  add(CFG_TYPE.COMMON, bar.common, 0);
  const notify = add(CFG_TYPE.NOTIFY, bar.notify, NOTIFY_TAIL.size);
  le32.set(
    view,
    notify + virtioPci.CAPABILITY.size + NOTIFY_TAIL.at.notify_off_multiplier,
    bar.notify.multiplier,
  );
  add(CFG_TYPE.ISR, bar.isr, 0);
  if (bar.device.length > 0) add(CFG_TYPE.DEVICE, bar.device, 0);
  // Required of every function (§4.1.4.9.1); where it leads is the driver's to say.
  add(CFG_TYPE.PCI, { offset: 0, length: 0 }, PCI_TAIL.size);
  return config;
}
