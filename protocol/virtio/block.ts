/**
 * Block device: features, configuration space, requests (virtio 1.3 §5.2).
 *
 * Every request is header (device-readable), data, one status byte (the last device-writable one). Sectors are 512
 * bytes whatever BLK_SIZE says. How the bytes are cut into descriptors means nothing (§2.7.4).
 *
 * @module
 */
import { layout } from "../layout.ts";
import { address64, le16, le32, u8 } from "../scalar.ts";

/** Device type number (§5). */
export const TYPE = 2;
/** Bytes of a sector. */
export const SECTOR_SIZE = 512;
/** Bytes of the answer to GET_ID: ASCII, padded with zeros, no terminator if full. */
export const ID_SIZE = 20;

/** Feature bits (§5.2.3). */
export const FEATURE = {
  SIZE_MAX: 1n << 1n,
  SEG_MAX: 1n << 2n,
  GEOMETRY: 1n << 4n,
  RO: 1n << 5n,
  BLK_SIZE: 1n << 6n,
  FLUSH: 1n << 9n,
  TOPOLOGY: 1n << 10n,
  CONFIG_WCE: 1n << 11n,
  MQ: 1n << 12n,
  DISCARD: 1n << 13n,
  WRITE_ZEROES: 1n << 14n,
} as const;

/** Device configuration space (§5.2.4), as far as the features above reach. */
export const CONFIG = layout({
  /** Sectors. */
  capacity: address64,
  size_max: le32,
  seg_max: le32,
  cylinders: le16,
  heads: u8,
  sectors: u8,
  blk_size: le32,
  /** log2 of logical blocks in a physical one. */
  physical_block_exp: u8,
  alignment_offset: u8,
  /** Logical blocks. */
  min_io_size: le16,
  opt_io_size: le32,
  /** 1: writeback, 0: writethrough. The driver writes it if CONFIG_WCE was negotiated. */
  writeback: u8,
  unused0: u8,
  num_queues: le16,
  max_discard_sectors: le32,
  max_discard_seg: le32,
  discard_sector_alignment: le32,
  max_write_zeroes_sectors: le32,
  max_write_zeroes_seg: le32,
  write_zeroes_may_unmap: u8,
  unused1: u8,
  unused2: le16,
});

/** First 16 device-readable bytes (§5.2.6). A sector of 2^52 or more reads as Infinity. */
export const REQUEST = layout({ type: le32, reserved: le32, sector: address64 });

export const REQUEST_TYPE = {
  IN: 0,
  OUT: 1,
  FLUSH: 4,
  GET_ID: 8,
  DISCARD: 11,
  WRITE_ZEROES: 13,
} as const;

/** Data of DISCARD and WRITE_ZEROES: one or more of these. */
export const RANGE = layout({ sector: address64, num_sectors: le32, flags: le32 });
/** RANGE.flags bit 0, WRITE_ZEROES only: the device may deallocate. */
export const RANGE_UNMAP = 1;

export const STATUS = { OK: 0, IOERR: 1, UNSUPP: 2 } as const;
export type Status = (typeof STATUS)[keyof typeof STATUS];
