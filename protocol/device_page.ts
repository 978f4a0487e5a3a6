/**
 * The device page: how host and card tell each other of devices and of the boot.
 *
 * Two halves, each living in the memory of the side that reads it, each field written by the other side only ("write
 * remote, read local"; but for a field of device configuration that the driver writes and reads back, which the card
 * stores in its half itself):
 *
 * - the **card page** lies in card memory (BAR 0, at `card_page_offset`); the host writes it and rings a doorbell;
 * - the **host page** lies in the system memory window (at `host_page`); the card writes it and sends MSI.
 *
 * Each half is a header and SLOTS slots of SLOT_SIZE bytes. Slot s uses doorbell s + 1 and MSI vector s + 1; doorbell
 * and vector 0 announce the header. A slot's `type` is written last, so a slot is either absent or whole.
 *
 * @module
 */
import { layout } from "./layout.ts";
import { address64, le16, le32, le64 } from "./scalar.ts";

export const PAGE_MAGIC = 0xc0ff_ee00;
export const PAGE_VERSION = 1;
/** Devices a card can have: MSI has 32 vectors, one is the card's own. */
export const SLOTS = 31;
export const SLOT_SIZE = 4096;
const HEADER_SIZE = 4096;
export const PAGE_SIZE = HEADER_SIZE + SLOTS * SLOT_SIZE;
export const slotOffset = (slot: number): number => HEADER_SIZE + slot * SLOT_SIZE;

/** Byte offsets inside a slot (both halves): device configuration space, then the queues. */
export const DEVICE_CONFIG_OFFSET = 64;
export const DEVICE_CONFIG_SIZE = 256;
export const QUEUES_OFFSET = DEVICE_CONFIG_OFFSET + DEVICE_CONFIG_SIZE;
export const MAX_QUEUES = 64;
/** Largest queue size offered: virtio allows 32768, no driver here asks for more. */
export const MAX_QUEUE_SIZE = 1024;

/** Card page header: what to boot, and what the host asks of the card. Addresses are offsets in card memory. */
export const CARD_HEADER = layout({
  magic: le32,
  version: le16,
  slots: le16,
  kernel_address: address64,
  kernel_length: le32,
  cmdline_length: le32,
  cmdline_address: address64,
  initrd_address: address64,
  initrd_length: le32,
  /** Counts up: a change asks the card OS to shut down in good order. */
  shutdown_request: le32,
  /** Host clock at boot, or at adoption: seconds since 1970 and nanoseconds. */
  time_seconds: le64,
  time_nanoseconds: le32,
  /**
   * Asks for a piece of what the card OS writes on its first serial port: a change asks for the next one, and says that
   * the one before was taken. 0: the host wants none.
   */
  serial_request: le32,
});
/** SHA-256 of kernel, then of command line, then of initrd (zeros when there is none): 3 × 32 bytes here. */
export const DIGESTS_OFFSET = 128;

/** Card page slot: a device as the host offers it. */
export const CARD_SLOT = layout({
  /** Virtio device type (virtio 1.3 §5); 0 is an empty slot. */
  type: le16,
  queue_count: le16,
  config_length: le16,
  reserved: le16,
  features_offered: le64,
  /** Changes whenever the configuration bytes changed (virtio 1.3 §4.1.4.3.1). */
  config_generation: le32,
  /** Copy of the host page's `reset_request` that the host has carried out. */
  reset_done: le32,
  /** Not 0: the device needs a reset (DRIVER_FAULT number); the card shows DEVICE_NEEDS_RESET. */
  needs_reset: le32,
  reserved2: le32,
});

/** Card page queue: one row a queue at QUEUES_OFFSET. Addresses are bus addresses in the system memory window. */
export const CARD_QUEUE = layout({
  size_max: le16,
  /**
   * The card sends MSI for every mirror index it posts that is past this one (by at most half of 2^16); the host moves
   * it ahead to have none. Not once per crossing, as virtio's event index: a link has latency, and a record posted
   * while the host's move is still under way would wait for another round trip.
   */
  msi_event: le16,
  staging_length: le32,
  mirror_address: address64,
  staging_address: address64,
  /** Device-readable bytes of one chain that the card pushes; what is above is fetched by memory reads. */
  push_limit: le32,
  reserved: le32,
});

/** Host page header. */
export const HOST_HEADER = layout({
  magic: le32,
  version: le16,
  reserved: le16,
  /** CARD_STATE number. */
  card_state: le32,
  /** SHUTDOWN_REASON number; valid when the state says stopped. */
  shutdown_reason: le32,
  /** Counts up, every 2 s or so, while the card OS is alive: it takes interrupts. */
  heartbeat: le32,
  /** Length of the UTF-8 text at TEXT_OFFSET: why a boot was refused, or how the card OS ended. */
  text_length: le32,
  /** The `serial_request` that the piece at SERIAL_OFFSET answers. */
  serial_piece: le32,
  /** Bytes of the piece. */
  serial_length: le32,
  /** Bytes that the card OS wrote before the piece, since its boot, modulo 2^32: what is missing shows here. */
  serial_position: le32,
  /** Bytes that wait behind the piece, as of this write; all that are to come once the card OS has stopped. */
  serial_waiting: le32,
});
export const TEXT_OFFSET = 128;
export const TEXT_SIZE = 1024;
/** Where in the header of the host page a piece of serial output lies, and what it has room for. */
export const SERIAL_OFFSET = 2048;
export const SERIAL_SIZE = 2048;
/** Bytes kept of what the card OS wrote on its first serial port. */
export const LOG_SIZE = 65_536;

/** Host page slot: what the driver on the card has done. */
export const HOST_SLOT = layout({
  /** Virtio device status byte as the driver last wrote it. */
  status: le32,
  /** Counts up: a change asks for a device reset. */
  reset_request: le32,
  features_accepted: le64,
  /** DRIVER_FAULT number that the card's chain walker found. */
  fault: le32,
  fault_queue: le32,
  /** 1: the driver runs since before this host; it has used the device already, and does not start afresh. */
  adopted: le32,
  /** PLUG number: what became of the slot's function on the card's bus. */
  plug: le32,
});

/** Host page queue: where the driver put its rings (offsets in card memory), and how far they are. */
export const HOST_QUEUE = layout({
  size: le16,
  enabled: le16,
  /** Used index at the time the host is told of the queue: 0, but for a host that adopts a running card OS. */
  used_index: le16,
  /** Available index of the first chain record that will be posted. */
  available_index: le16,
  descriptor_table: address64,
  available_ring: address64,
  used_ring: address64,
});

/** The function of a slot on the card's own bus. */
export const PLUG = {
  /** None: the slot is empty, or its removal is done and nothing of it is touched any more. */
  none: 0,
  /** There until the card is reset. */
  fixed: 1,
  /** There, and the host may take it away while the card OS runs. */
  removable: 2,
  /** The card has no place for it, or cannot read the slot. */
  refused: 3,
} as const;

/** What the card says of itself in the host page. */
export const CARD_STATE = {
  resetting: 0,
  ready: 1,
  booting: 2,
  online: 3,
  stopped: 4,
  refused: 5,
} as const;
export type CardState = keyof typeof CARD_STATE;

/** Why a card OS stopped: the original's words. */
export const SHUTDOWN_REASON = { nop: 0, crashed: 1, halted: 2, poweroff: 3, restart: 4 } as const;
export type ShutdownReason = keyof typeof SHUTDOWN_REASON;
