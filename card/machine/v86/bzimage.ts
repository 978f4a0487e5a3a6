/**
 * A kernel as a bzImage (`vmlinuz`): the setup header, and the self-extracting 32-bit part behind the setup sectors.
 *
 * The card has no BIOS, so the real-mode setup code is skipped and the 32-bit entry is used. Unpacking itself in the
 * emulated CPU takes the kernel seconds that an ELF (`vmlinux`) does not cost.
 *
 * - **Spec:** Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header" and "32-bit Boot Protocol".
 *
 * @module
 */
import { le16, le32, u8, viewOf } from "../../../protocol/mod.ts";
import { BootRefused } from "../types.ts";

/** Offsets in the file of the setup header's fields; the zero page has the header at the same offsets. */
export const SETUP = {
  setup_sects: 0x1f1,
  boot_flag: 0x1fe,
  /** Second byte of a short jump over the header: the header ends that far behind 0x202. */
  jump: 0x201,
  header: 0x202,
  version: 0x206,
  type_of_loader: 0x210,
  loadflags: 0x211,
  ramdisk_image: 0x218,
  ramdisk_size: 0x21c,
  cmd_line_ptr: 0x228,
  xloadflags: 0x236,
  pref_address: 0x258,
  init_size: 0x260,
} as const;
export const BOOT_FLAG = 0xaa55;
/** "HdrS". */
export const HEADER_MAGIC = 0x5372_6448;
export const LOADED_HIGH = 1;
const XLF_KERNEL_64 = 1;
const SECTOR = 512;
/** Protocol 2.10 brought `pref_address` and `init_size`: without them nobody knows what the kernel overwrites. */
const OLDEST = 0x020a;
/** Protocol 2.12 brought `xloadflags`. */
const XLOADFLAGS = 0x020c;

export interface BzImage {
  /** The setup header, for the zero page: bytes of the file. */
  readonly header: { readonly start: number; readonly end: number };
  /** Where the 32-bit part starts in the file; it goes to 1 MiB, which is also where it is entered. */
  readonly protectedStart: number;
  /** What the kernel needs to itself while it unpacks, physical. */
  readonly workArea: { readonly start: number; readonly end: number };
}

export function isBzImage(file: Uint8Array): boolean {
  return file.length >= SETUP.init_size + 4 &&
    le16.get(viewOf(file), SETUP.boot_flag) === BOOT_FLAG &&
    le32.get(viewOf(file), SETUP.header) === HEADER_MAGIC;
}

/** @throws {BootRefused} if the 32-bit boot protocol cannot start `file` */
export function parseBzImage(file: Uint8Array): BzImage {
  const view = viewOf(file);
  const version = le16.get(view, SETUP.version);
  if (version < OLDEST) {
    throw new BootRefused(
      "KF",
      `Cannot boot: bzImage has boot protocol 0x${version.toString(16)}, wanted 0x20a or later`,
    );
  }
  if ((u8.get(view, SETUP.loadflags) & LOADED_HIGH) === 0) {
    throw new BootRefused("KF", "Cannot boot: zImage wants to be loaded low, wanted a bzImage");
  }
  if (version >= XLOADFLAGS && (le16.get(view, SETUP.xloadflags) & XLF_KERNEL_64) !== 0) {
    throw new BootRefused(
      "KA",
      "Cannot boot: bzImage is for x86-64, wanted 32-bit x86 (Intel 80386)",
    );
  }
  // Zero means 4 for historical reasons, says the specification.
  const setupSectors = u8.get(view, SETUP.setup_sects) || 4;
  const protectedStart = (setupSectors + 1) * SECTOR;
  if (protectedStart >= file.length) {
    throw new BootRefused(
      "KF",
      `Cannot boot: bzImage of ${file.length} bytes ends within its setup sectors`,
    );
  }
  const preferred = le32.get(view, SETUP.pref_address);
  return {
    header: { start: SETUP.setup_sects, end: SETUP.header + u8.get(view, SETUP.jump) },
    protectedStart,
    workArea: { start: preferred, end: preferred + le32.get(view, SETUP.init_size) },
  };
}
