/**
 * Is this file a kernel? Told by its first bytes before anything is downloaded, so that a wrong file has its sentence
 * at once and not a card that stays dark.
 *
 * - **Spec:** ELF header (e_ident, e_machine); the Linux x86 boot protocol, setup header at 0x1f1.
 *
 * @module
 */
import { DIAG_MAGIC, le16, le32, viewOf } from "../../protocol/mod.ts";
import { BootError } from "./boot_error.ts";

/** Bytes from the start of a file that {@linkcode identify} looks at. */
export const HEAD_SIZE = 1024;

export type KernelKind = "elf" | "bzimage" | "diag";

interface Identity {
  /** With its article, for people. */
  readonly text: string;
  readonly kind?: KernelKind;
}

const ELF_CLASS = 4;
const ELF_MACHINE = 18;
const ELFCLASS32 = 1;
const EM_386 = 3;

const BOOT_FLAG = 0x1fe;
const HEADER_MAGIC = 0x202;
const LOAD_FLAGS = 0x211;
const LOADED_HIGH = 1;
const XLOAD_FLAGS = 0x236;
const KERNEL_64 = 1;

/** First bytes of what people mistake for a kernel. */
const OTHERS: readonly (readonly [string, string])[] = [
  ["\x1f\x8b", "a gzip file"],
  ["\xfd7zXZ\0", "an xz file"],
  ["BZh", "a bzip2 file"],
  ["\x28\xb5\x2f\xfd", "a zstd file"],
  ["070701", "a cpio archive (an initrd?)"],
  ["070702", "a cpio archive (an initrd?)"],
  ["!<arch>\n", "a Debian package"],
  ["QFI\xfb", "a qcow2 disk image"],
  ["#!", "a script"],
];

/** What a file is that starts with `head` (all of it, or at least HEAD_SIZE bytes). */
export function identify(head: Uint8Array): Identity {
  if (head.length === 0) return { text: "an empty file" };
  if (startsWith(head, "\x7fELF")) return identifyElf(head);
  if (startsWith(head, DIAG_MAGIC)) return { text: "a diagnostic OS image", kind: "diag" };
  if (startsWith(head, "HdrS", HEADER_MAGIC) && startsWith(head, "\x55\xaa", BOOT_FLAG)) {
    return identifyBzImage(head);
  }
  for (const [magic, text] of OTHERS) {
    if (startsWith(head, magic)) return { text };
  }
  if (startsWith(head, "\x55\xaa", BOOT_FLAG)) return { text: "a disk image with a boot sector" };
  const printable = head.every((byte) => byte >= 32 && byte < 127 || (byte >= 9 && byte <= 13));
  return { text: printable ? "a text file" : "a file of unknown format" };
}

const WANTED: Readonly<Record<string, { kinds: readonly KernelKind[]; text: string }>> = {
  v86: { kinds: ["elf", "bzimage"], text: "a 32-bit x86 Linux kernel (ELF or bzImage)" },
  diag: { kinds: ["diag"], text: "a diagnostic OS image" },
};

/** What kernel `head` is. @throws {BootError} if it is none that a card of `platform` boots; `name` is the file's */
export function kernelKind(name: string, head: Uint8Array, platform: string): KernelKind {
  const wanted = WANTED[platform];
  if (wanted === undefined) {
    throw new BootError(`Cannot boot '${name}': the card is a ${platform}, wanted v86 or diag`);
  }
  const { kind, text } = identify(head);
  if (kind === undefined || !wanted.kinds.includes(kind)) {
    throw new BootError(`Cannot boot '${name}': found ${text}, wanted ${wanted.text}`);
  }
  return kind;
}

function identifyElf(head: Uint8Array): Identity {
  if (head.length < 52) return { text: "a truncated ELF file" };
  const machine = le16.get(viewOf(head), ELF_MACHINE);
  if (head[ELF_CLASS] !== ELFCLASS32 || machine !== EM_386) {
    const bits = head[ELF_CLASS] === ELFCLASS32 ? 32 : 64;
    return { text: `a ${bits}-bit ELF file for machine ${machine}` };
  }
  return { text: "a 32-bit x86 ELF file", kind: "elf" };
}

function identifyBzImage(head: Uint8Array): Identity {
  if (head.length < XLOAD_FLAGS + 2) return { text: "a truncated Linux kernel" };
  if (!(head[LOAD_FLAGS]! & LOADED_HIGH)) return { text: "a Linux zImage" };
  const version = le16.get(viewOf(head), HEADER_MAGIC + 4);
  // Version 2.12 introduced the flags that say "64-bit".
  if (version >= 0x20c && le16.get(viewOf(head), XLOAD_FLAGS) & KERNEL_64) {
    return { text: "a 64-bit x86 bzImage" };
  }
  if (le32.get(viewOf(head), 0x1f4) === 0) return { text: "a bzImage without a kernel in it" };
  return { text: "a 32-bit x86 bzImage", kind: "bzimage" };
}

function startsWith(head: Uint8Array, text: string, at = 0): boolean {
  if (head.length < at + text.length) return false;
  for (let i = 0; i < text.length; i++) {
    if (head[at + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}
