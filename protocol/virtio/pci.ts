/**
 * Virtio over PCI: identity, capabilities and the common configuration structure (virtio 1.3 §4.1).
 *
 * A driver finds the structures of a function through vendor-specific capabilities in its PCI configuration space;
 * each says in which BAR, and where, one structure lies. Only the modern (non-transitional) interface is described.
 *
 * @module
 */
import { layout } from "../layout.ts";
import { le16, le32, u8 } from "../scalar.ts";

export const VENDOR_ID = 0x1af4;
/** PCI device IDs of modern functions are this plus the virtio device type (§4.1.2.1). */
export const DEVICE_ID_BASE = 0x1040;

/** CAPABILITY.cfg_type (§4.1.4). */
export const CFG_TYPE = { COMMON: 1, NOTIFY: 2, ISR: 3, DEVICE: 4, PCI: 5 } as const;

/** struct virtio_pci_cap (§4.1.4): structure `cfg_type` is `length` bytes at `offset` of BAR `bar`. */
export const CAPABILITY = layout({
  cap_vndr: u8,
  /** Offset of the next capability in PCI configuration space, 0 at the end. */
  cap_next: u8,
  /** Bytes of this capability, its tail included. */
  cap_len: u8,
  cfg_type: u8,
  bar: u8,
  id: u8,
  padding0: u8,
  padding1: u8,
  offset: le32,
  length: le32,
});

/** Tail of the notification capability (§4.1.4.4). */
export const NOTIFY_TAIL = layout({ notify_off_multiplier: le32 });
/** Tail of the PCI configuration access capability (§4.1.4.9): four bytes of window. */
export const PCI_TAIL = layout({ pci_cfg_data: le32 });

/**
 * struct virtio_pci_common_cfg (§4.1.4.3). The 64-bit queue addresses are accessed as two halves (§4.1.3.1), and so
 * they are two fields here.
 */
export const COMMON_CFG = layout({
  device_feature_select: le32,
  device_feature: le32,
  driver_feature_select: le32,
  driver_feature: le32,
  config_msix_vector: le16,
  num_queues: le16,
  device_status: u8,
  config_generation: u8,
  queue_select: le16,
  queue_size: le16,
  queue_msix_vector: le16,
  queue_enable: le16,
  queue_notify_off: le16,
  queue_desc_low: le32,
  queue_desc_high: le32,
  queue_driver_low: le32,
  queue_driver_high: le32,
  queue_device_low: le32,
  queue_device_high: le32,
  /** The rest means something only with NOTIF_CONFIG_DATA, RING_RESET and ADMIN_VQ negotiated. */
  queue_notif_config_data: le16,
  queue_reset: le16,
  admin_queue_index: le16,
  admin_queue_num: le16,
});

/** Bytes of COMMON_CFG up to `queue_device`: all of it that a function without the last three features has. */
export const COMMON_CFG_BASE_SIZE = COMMON_CFG.at.queue_notif_config_data;

/** Reads as the vector of a function that has no MSI-X, or of a source without one (§4.1.5.1.2). */
export const NO_VECTOR = 0xffff;

/** ISR status bits (§4.1.4.5); reading clears them and lowers INTx. */
export const ISR = { QUEUE: 1, CONFIG: 2 } as const;
