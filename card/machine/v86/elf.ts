/**
 * A kernel as an ELF executable (`vmlinux`): which bytes go where in physical memory, and where it starts.
 *
 * - **Spec:** System V ABI, "ELF header" and "Program header"; Intel 80386 supplement (EM_386).
 * - **Invariant:** a parsed segment's bytes lie within the file. Whether it fits the machine is for the loader to say.
 *
 * @module
 */
import { layout, le16, le32, u8, viewOf } from "../../../protocol/mod.ts";
import { BootRefused } from "../types.ts";

const EI_NIDENT = 16;
/** What is identified before the words' size and order are known (e_ident). */
const IDENT = layout({ magic: le32, class: u8, data: u8, version: u8 });
const ELF32_EHDR = layout({
  e_type: le16,
  e_machine: le16,
  e_version: le32,
  e_entry: le32,
  e_phoff: le32,
  e_shoff: le32,
  e_flags: le32,
  e_ehsize: le16,
  e_phentsize: le16,
  e_phnum: le16,
});
const ELF32_PHDR = layout({
  p_type: le32,
  p_offset: le32,
  p_vaddr: le32,
  p_paddr: le32,
  p_filesz: le32,
  p_memsz: le32,
  p_flags: le32,
  p_align: le32,
});
/** 0x7f "ELF". */
const MAGIC = 0x464c_457f;
const ELFCLASS32 = 1;
const ELFDATA2LSB = 1;
const ET_EXEC = 2;
const EM_386 = 3;
const PT_LOAD = 1;

/** A piece of the kernel (PT_LOAD); byte offsets and lengths. */
export interface Segment {
  /** Where its bytes lie in the file, and how many. */
  readonly offset: number;
  readonly fileLength: number;
  /** Where they go in physical memory, and how far zeros fill up behind them. */
  readonly address: number;
  readonly memoryLength: number;
}

export interface ElfKernel {
  /** Physical address of the first instruction. */
  readonly entry: number;
  readonly segments: readonly Segment[];
}

export function isElf(file: Uint8Array): boolean {
  return file.length >= 4 && le32.get(viewOf(file), 0) === MAGIC;
}

/** @throws {BootRefused} if `file` is not an executable for a 32-bit x86 */
export function parseElf(file: Uint8Array): ElfKernel {
  const view = viewOf(file);
  if (file.length < EI_NIDENT + ELF32_EHDR.size) throw truncated("the ELF header", file.length);
  const ident = IDENT.read(view);
  if (ident.class !== ELFCLASS32 || ident.data !== ELFDATA2LSB) {
    throw wrongMachine("ELF is not 32-bit little-endian");
  }
  const header = ELF32_EHDR.read(view, EI_NIDENT);
  if (header.e_machine !== EM_386) {
    throw wrongMachine(`ELF is for machine ${header.e_machine}`);
  }
  if (header.e_type !== ET_EXEC) {
    throw new BootRefused("KF", `Cannot boot: ELF has type ${header.e_type}, wanted an executable`);
  }
  if (header.e_phnum > 0 && header.e_phentsize !== ELF32_PHDR.size) {
    throw new BootRefused(
      "KF",
      `Cannot boot: ELF program headers have ${header.e_phentsize} bytes, wanted ${ELF32_PHDR.size}`,
    );
  }
  if (header.e_phoff + header.e_phnum * ELF32_PHDR.size > file.length) {
    throw truncated("its program headers", file.length);
  }
  const segments: Segment[] = [];
  for (let i = 0; i < header.e_phnum; i++) {
    const row = ELF32_PHDR.read(view, header.e_phoff + i * ELF32_PHDR.size);
    if (row.p_type !== PT_LOAD || row.p_memsz === 0) continue;
    if (row.p_offset + row.p_filesz > file.length) throw truncated(`segment ${i}`, file.length);
    if (row.p_filesz > row.p_memsz) {
      throw new BootRefused(
        "KF",
        `Cannot boot: ELF segment ${i} has ${row.p_filesz} bytes for ${row.p_memsz} of memory`,
      );
    }
    segments.push({
      offset: row.p_offset,
      fileLength: row.p_filesz,
      address: row.p_paddr,
      memoryLength: row.p_memsz,
    });
  }
  if (segments.length === 0) throw new BootRefused("KF", "Cannot boot: ELF has nothing to load");
  const inOrder = segments.toSorted((a, b) => a.address - b.address);
  for (const [i, segment] of inOrder.entries()) {
    const before = inOrder[i - 1];
    if (before !== undefined && before.address + before.memoryLength > segment.address) {
      throw new BootRefused(
        "KF",
        `Cannot boot: ELF loads two segments at 0x${segment.address.toString(16)}`,
      );
    }
  }
  const entry = header.e_entry;
  if (!segments.some((s) => entry >= s.address && entry < s.address + s.memoryLength)) {
    throw new BootRefused(
      "KF",
      `Cannot boot: ELF entry 0x${entry.toString(16)} is not in what it loads`,
    );
  }
  return { entry, segments };
}

function truncated(what: string, length: number): BootRefused {
  return new BootRefused("KF", `Cannot boot: ELF of ${length} bytes ends before ${what} does`);
}

function wrongMachine(found: string): BootRefused {
  return new BootRefused("KA", `Cannot boot: ${found}, wanted 32-bit x86 (Intel 80386)`);
}
