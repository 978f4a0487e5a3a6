/** Clauses of virtio 1.3 §5.2, the block device. Its SHALLs are all about zoned disks. */
import { type Exemption, LEGACY, type Section } from "./types.ts";

const DISK = "Device Types / Block Device";

const CACHELESS =
  "BlockDevice begins in writethrough, and says so, for a driver that can choose and cannot flush";
const BYTES = "BlockDevice.config() is the configuration space of a 64-sector disk, byte by byte";
const READ_ONLY = "BlockDevice refuses changes of a read-only disk with IOERR";
const ZONED: Exemption = { without: "VIRTIO_BLK_F_ZONED" };
const refuses = (what: string): string => `BlockDevice refuses ${what} and changes nothing`;

export const BLOCK_CLAUSES: readonly Section[] = [
  {
    section: "5.2.4.1",
    label:
      `sec:${DISK} / Device configuration layout / Legacy Interface: Device configuration layout`,
    musts: 1,
    not: LEGACY,
  },
  {
    section: "5.2.5.2",
    label: `${DISK} / Device Initialization`,
    musts: 13,
    clauses: [
      {
        must: 1,
        says: "FLUSH is offered where CONFIG_WCE is",
        shown: {
          "clauses/features": [
            "a disk offers these features, and none without those that it needs",
            "a read-only disk offers these features, and none without those that it needs",
          ],
        },
      },
      {
        must: 2,
        says: "writeback begins as 0 with CONFIG_WCE and without FLUSH",
        shown: {
          "host/device_block": [CACHELESS],
          "card/driver_card_driver": [
            "writeback begins as 0 for a driver that may set it and cannot flush, until the reset",
          ],
        },
      },
      { must: 3, says: "padding is 0", shown: { "host/device_block": [BYTES] } },
      { must: 4, says: "a legacy device does not offer ZONED", not: LEGACY },
      { must: 5, says: "a host-managed disk refuses drivers without ZONED", ...ZONED },
      { must: 6, says: "model is what the disk is", ...ZONED },
      { must: 7, says: "zone_sectors is the size of a zone", ...ZONED },
      { must: 8, says: "max_open_zones is set", ...ZONED },
      { must: 9, says: "max_active_zones is set", ...ZONED },
      { must: 10, says: "max_append_sectors is set", ...ZONED },
      { must: 11, says: "max_append_sectors fits seg_max segments of size_max", ...ZONED },
      { must: 12, says: "write_granularity is set", ...ZONED },
      { must: 13, says: "padding of zoned characteristics is 0", ...ZONED },
    ],
  },
  {
    section: "5.2.5.3",
    label: `sec:${DISK} / Device Initialization / Legacy Interface: Device Initialization`,
    musts: 3,
    not: LEGACY,
  },
  {
    section: "5.2.6.2",
    label: `${DISK} / Device Operation`,
    musts: 22,
    clauses: [
      {
        must: 1,
        says: "a write to a read-only disk is answered with IOERR",
        shown: { "host/device_block_refusals": [READ_ONLY] },
      },
      {
        must: 2,
        says: "and writes nothing",
        shown: { "host/device_block_refusals": [READ_ONLY] },
      },
      {
        must: 3,
        says: "a discard, erase or zeroing with an unknown flag is UNSUPP",
        shown: {
          "host/device_block_refusals": [
            refuses("zeroes with an unknown flag"),
            refuses("a discard that is wrong in every way, an unknown flag last"),
            refuses("SECURE_ERASE"),
          ],
        },
      },
      {
        must: 4,
        says: "a discard with the unmap flag is UNSUPP",
        shown: { "host/device_block_refusals": [refuses("a discard with the unmap flag")] },
      },
      {
        must: 5,
        says: "what was zeroed reads as zeros, whether it was to be deallocated or not",
        shown: {
          "host/device_block": ["BlockDevice discards and zeroes every range of a request"],
          "host/device_block_model": [
            "BlockDevice on a file is an array of bytes, whatever is asked",
          ],
        },
      },
      {
        must: 6,
        says: "a stable write is on persistent storage before write or flush are answered",
        shown: {
          "host/device_block": [
            "BlockDevice acknowledges a write at once in writeback, and after a sync in writethrough",
            "BlockDevice answers a flush when the data is on stable storage, one sync for all that came together",
            "BlockDevice does not let a flush share a sync that began before the write it must cover",
            "BlockDevice is writethrough for a driver without FLUSH, and zeroes count as writes",
            CACHELESS,
          ],
          "fault/crash_consistency": [
            "every synced file is whole, and e2fsck finds nothing, wherever in the disk's log it ends",
          ],
        },
      },
      {
        must: 7,
        says: "LIFETIME is not offered without its metrics",
        shown: {
          "clauses/features": [
            "a disk offers these features, and none without those that it needs",
          ],
        },
      },
      {
        must: 8,
        says: "no reserved value is among the metrics",
        without: "VIRTIO_BLK_F_LIFETIME",
      },
      {
        must: 9,
        says: "without ZONED its requests are UNSUPP",
        shown: {
          "host/device_block_refusals": [
            "OPEN",
            "CLOSE",
            "FINISH",
            "RESET",
            "RESET_ALL",
            "APPEND",
            "REPORT",
          ].map((request) => refuses(`ZONE_${request}`)),
        },
      },
      { must: 10, says: "a zone request for a conventional zone is invalid", ...ZONED },
      { must: 11, says: "a zone that cannot be opened is answered so", ...ZONED },
      { must: 12, says: "opening without resources is answered so", ...ZONED },
      { must: 13, says: "a zone that cannot be closed is answered so", ...ZONED },
      { must: 14, says: "a zone that cannot be finished is answered so", ...ZONED },
      { must: 15, says: "a zone that cannot be reset is answered so", ...ZONED },
      { must: 16, says: "a write that cannot open its zone is answered so", ...ZONED },
      { must: 17, says: "append_sector is where data was appended", ...ZONED },
      { must: 18, says: "sectors behind the write pointer are unwritten", ...ZONED },
      { must: 19, says: "unwritten data is filled in, or fails its read", ...ZONED },
      {
        must: 20,
        says: "the alignment of secure erase is whole zones",
        without: "VIRTIO_BLK_F_SECURE_ERASE",
      },
      {
        must: 21,
        says: "a secure erase is of whole zones",
        without: "VIRTIO_BLK_F_SECURE_ERASE",
      },
      {
        must: 22,
        says: "a secure erase resets its zones",
        without: "VIRTIO_BLK_F_SECURE_ERASE",
      },
    ],
  },
  {
    section: "5.2.6.3",
    label: `sec:${DISK} / Device Operation / Legacy Interface: Device Operation`,
    musts: 1,
    not: LEGACY,
  },
];
