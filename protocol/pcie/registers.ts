/**
 * BAR 4, the register block: 128 KiB, DBOX in the low half, SBOX from 0x10000. Offsets are those of the MIC X100
 * where it had the register; the doorbell page is ours (the original shared 16 doorbells between all devices).
 *
 * All registers are 32 bits, little-endian, and are accessed whole.
 *
 * @module
 */

/** `ro` card sets, host reads; `rw` both; `wo` reads as 0. From the host's side. */
export type Access = "ro" | "rw" | "wo";
export interface Register {
  /** Byte offset from the start of BAR 4. */
  readonly at: number;
  readonly access: Access;
}
export type RegisterMap = Readonly<Record<string, Register>>;

const SBOX = 0x1_0000;
export const REGISTER_BLOCK_SIZE = 0x2_0000;

export const REGISTERS = {
  /** Two characters, low byte first. */
  post_code: { at: 0x242c, access: "ro" },
  /** Host to card doorbells: a write to `doorbell + 4 * n` rings number n; see DOORBELL. */
  doorbell: { at: 0x8000, access: "wo" },
  /** Bit 0: reset the card. */
  reset: { at: SBOX + 0x4010, access: "rw" },
  /** To-host cause, enable, disable (write 1 to set, clear). Bit n = MSI vector n. */
  interrupt_cause: { at: SBOX + 0x9004, access: "rw" },
  interrupt_enable: { at: SBOX + 0x900c, access: "rw" },
  interrupt_disable: { at: SBOX + 0x9014, access: "wo" },
  /** Boot doorbell (the original's APICICR7): writing BOOT_SIGNAL starts the downloaded OS. */
  boot: { at: SBOX + 0xaa08, access: "wo" },
  /** Bits of DOWNLOAD_INFO; bits 31:12 are the load address in card memory. */
  download_info: { at: SBOX + 0xab28, access: "ro" },
  /** Card memory in MiB. */
  memory_mib: { at: SBOX + 0xab2c, access: "ro" },
  /** Platform: low byte is the machine, see PLATFORM. */
  platform: { at: SBOX + 0xab30, access: "ro" },
  /** Offset of the card page in BAR 0 (bytes, 4 KiB aligned), and its size in bytes. */
  card_page_offset: { at: SBOX + 0xab38, access: "ro" },
  card_page_size: { at: SBOX + 0xab3c, access: "ro" },
  /** Offset of the kernel log in BAR 0. Reading the length takes a copy: what is shown there until it is read again. */
  log_offset: { at: SBOX + 0xab40, access: "ro" },
  log_length: { at: SBOX + 0xab44, access: "ro" },
  /** Bus address of the host page: SPAD14 and SPAD15, as in the original. */
  host_page_low: { at: SBOX + 0xab58, access: "rw" },
  host_page_high: { at: SBOX + 0xab5c, access: "rw" },
} as const satisfies RegisterMap;

/** What starts the card: vector 229 with the send bit 13, as the original wrote it. */
export const BOOT_SIGNAL = 229 | (1 << 13);
/** What hands a running card OS to a host that found it waiting: the next vector, which the original left alone. */
export const ADOPT_SIGNAL = 230 | (1 << 13);

export const DOWNLOAD_INFO = {
  /** The card waits for a download. */
  ready: 1 << 0,
  /** A card OS runs whose host is gone: it waits for a host that adopts it. Never together with `ready`. */
  adoptable: 1 << 1,
} as const;

/** Doorbell numbers are per device: slot s rings doorbell s + 1; doorbell 0 is the card as a whole. */
export const DOORBELL = {
  count: 64,
  /** Doorbell 0: the header of the card page changed. */
  card: 0,
  /** Value for a device doorbell that is not a queue index: status or configuration of the slot changed. */
  config_changed: 0xffff,
} as const;

/** What runs the card's CPU. */
export const PLATFORM = { v86: 1, diag: 2 } as const;

/** Two-character POST codes as numbers, low byte first. From the original's table. */
export const postCode = (text: string): number => text.charCodeAt(0) | (text.charCodeAt(1) << 8);
export const postText = (code: number): string =>
  String.fromCharCode(code & 0xff, (code >> 8) & 0xff);

/** I/O BAR (BAR 2): 64 bytes. */
export const IO_BAR = {
  size: 64,
  /** 16 bits, read only: the POST code. */
  post: 0x00,
  /** 32 bits: byte offset into the register block; then its data. */
  index: 0x08,
  data: 0x0c,
} as const;
