/**
 * The smallest shared library that makes a Linux system call: two leaf functions in an ELF file of some 500 bytes.
 *
 * Why it exists: the C library reports errors through the thread-local `errno`, and by the time JavaScript could ask
 * for it the engine may have made another system call (or the call ran on another thread). The kernel itself returns
 * `-errno`, so calling the kernel without the C library in between makes the result the whole answer.
 *
 * The file is mapped twice, once executable and once writable, because the dynamic linker of glibc before 2.35
 * relocates the dynamic section in place. `GNU_STACK` says that no executable stack is wanted. One hash bucket with
 * all symbols in its chain spares the hash function.
 *
 * Spec: System V ABI chapters 4 and 5 (ELF-64); the AMD64 and AArch64 supplements for the calling convention.
 *
 * @module
 */
import { address64, layout, le16, le32, u8, viewOf } from "../../protocol/mod.ts";

/** What differs between the processors: ELF machine number and code. */
export interface StubCode {
  readonly machine: number;
  /** `sys(number, a, b, c, d, e)`: every argument passed on in full. */
  readonly sys: readonly number[];
  /** `io(number, descriptor, pointer, length)`: as `sys`, with `length` cut to 32 bits (see below). */
  readonly io: readonly number[];
}

/**
 * A 32-bit argument may arrive with anything in the upper half of its register. The kernel ignores that half for its
 * `int` parameters but not for `size_t` and `unsigned long`; hence `io`, which clears it for the length.
 */
export const STUB_CODE: Readonly<Record<string, StubCode>> = {
  // deno-fmt-ignore
  x86_64: {
    machine: 62,
    sys: [
      0x89, 0xf8, // mov eax, edi
      0x48, 0x89, 0xf7, // mov rdi, rsi
      0x48, 0x89, 0xd6, // mov rsi, rdx
      0x48, 0x89, 0xca, // mov rdx, rcx
      0x4d, 0x89, 0xc2, // mov r10, r8
      0x4d, 0x89, 0xc8, // mov r8, r9
      0x0f, 0x05, // syscall
      0xc3, // ret
    ],
    io: [
      0x89, 0xf8, // mov eax, edi
      0x89, 0xf7, // mov edi, esi
      0x48, 0x89, 0xd6, // mov rsi, rdx
      0x89, 0xca, // mov edx, ecx
      0x0f, 0x05, // syscall
      0xc3, // ret
    ],
  },
  // deno-fmt-ignore
  aarch64: {
    machine: 183,
    sys: [
      0xe8, 0x03, 0x00, 0x2a, // mov w8, w0
      0xe0, 0x03, 0x01, 0xaa, // mov x0, x1
      0xe1, 0x03, 0x02, 0xaa, // mov x1, x2
      0xe2, 0x03, 0x03, 0xaa, // mov x2, x3
      0xe3, 0x03, 0x04, 0xaa, // mov x3, x4
      0xe4, 0x03, 0x05, 0xaa, // mov x4, x5
      0x01, 0x00, 0x00, 0xd4, // svc #0
      0xc0, 0x03, 0x5f, 0xd6, // ret
    ],
    io: [
      0xe8, 0x03, 0x00, 0x2a, // mov w8, w0
      0xe0, 0x03, 0x01, 0x2a, // mov w0, w1
      0xe1, 0x03, 0x02, 0xaa, // mov x1, x2
      0xe2, 0x03, 0x03, 0x2a, // mov w2, w3
      0x01, 0x00, 0x00, 0xd4, // svc #0
      0xc0, 0x03, 0x5f, 0xd6, // ret
    ],
  },
};

const EHDR = layout({
  ei_magic: le32,
  ei_class: u8,
  ei_data: u8,
  ei_version: u8,
  ei_osabi: u8,
  ei_pad: address64,
  e_type: le16,
  e_machine: le16,
  e_version: le32,
  e_entry: address64,
  e_phoff: address64,
  e_shoff: address64,
  e_flags: le32,
  e_ehsize: le16,
  e_phentsize: le16,
  e_phnum: le16,
  e_shentsize: le16,
  e_shnum: le16,
  e_shstrndx: le16,
});
const PHDR = layout({
  p_type: le32,
  p_flags: le32,
  p_offset: address64,
  p_vaddr: address64,
  p_paddr: address64,
  p_filesz: address64,
  p_memsz: address64,
  p_align: address64,
});
const SYM = layout({
  st_name: le32,
  st_info: u8,
  st_other: u8,
  st_shndx: le16,
  st_value: address64,
  st_size: address64,
});
const DYN = layout({ d_tag: address64, d_val: address64 });

const PT = { LOAD: 1, DYNAMIC: 2, GNU_STACK: 0x6474_e551 } as const;
const PF = { X: 1, W: 2, R: 4 } as const;
const DT = { NULL: 0, HASH: 4, STRTAB: 5, SYMTAB: 6, STRSZ: 10, SYMENT: 11 } as const;
/** STB_GLOBAL << 4 | STT_FUNC. */
const GLOBAL_FUNCTION = 0x12;
/** Largest page size of the two processors: where the writable mapping of the same bytes begins. */
const SECOND_MAPPING = 0x1_0000;

const HASH_AT = EHDR.size + 4 * PHDR.size;
/** nbucket, nchain, one bucket, three chain words. */
const HASH = [1, 3, 1, 0, 2, 0];
const SYMTAB_AT = HASH_AT + 4 * HASH.length;
const STRTAB_AT = SYMTAB_AT + 3 * SYM.size;
const STRTAB = "\0sys\0io\0";
const CODE_AT = STRTAB_AT + STRTAB.length + (-STRTAB.length & 15);
const CODE_SLOT = 48;
const DYNAMIC_AT = CODE_AT + 2 * CODE_SLOT;

/** The bytes of the library for one processor. */
export function stubLibrary(code: StubCode): Uint8Array<ArrayBuffer> {
  const dynamic = [
    [DT.HASH, HASH_AT],
    [DT.STRTAB, STRTAB_AT],
    [DT.SYMTAB, SYMTAB_AT],
    [DT.STRSZ, STRTAB.length],
    [DT.SYMENT, SYM.size],
    [DT.NULL, 0],
  ] as const;
  const size = DYNAMIC_AT + dynamic.length * DYN.size;
  const bytes = new Uint8Array(size);
  const view = viewOf(bytes);

  EHDR.write(view, {
    ei_magic: 0x464c_457f,
    ei_class: 2, // 64 bits
    ei_data: 1, // little-endian
    ei_version: 1,
    ei_osabi: 0,
    ei_pad: 0,
    e_type: 3, // shared object
    e_machine: code.machine,
    e_version: 1,
    e_entry: 0,
    e_phoff: EHDR.size,
    e_shoff: 0,
    e_flags: 0,
    e_ehsize: EHDR.size,
    e_phentsize: PHDR.size,
    e_phnum: 4,
    e_shentsize: 0,
    e_shnum: 0,
    e_shstrndx: 0,
  });
  const segments = [
    { type: PT.LOAD, flags: PF.R | PF.X, offset: 0, vaddr: 0, length: size },
    { type: PT.LOAD, flags: PF.R | PF.W, offset: 0, vaddr: SECOND_MAPPING, length: size },
    {
      type: PT.DYNAMIC,
      flags: PF.R | PF.W,
      offset: DYNAMIC_AT,
      vaddr: SECOND_MAPPING + DYNAMIC_AT,
      length: size - DYNAMIC_AT,
    },
    { type: PT.GNU_STACK, flags: PF.R | PF.W, offset: 0, vaddr: 0, length: 0 },
  ];
  segments.forEach(({ type, flags, offset, vaddr, length }, i) =>
    PHDR.write(view, {
      p_type: type,
      p_flags: flags,
      p_offset: offset,
      p_vaddr: vaddr,
      p_paddr: vaddr,
      p_filesz: length,
      p_memsz: length,
      p_align: type === PT.LOAD ? SECOND_MAPPING : 8,
    }, EHDR.size + i * PHDR.size)
  );

  HASH.forEach((word, i) => le32.set(view, HASH_AT + 4 * i, word));
  // Symbol 0 is the reserved, all-zero one.
  [code.sys, code.io].forEach((instructions, i) => {
    const at = CODE_AT + i * CODE_SLOT;
    bytes.set(instructions, at);
    SYM.write(view, {
      st_name: STRTAB.indexOf(i === 0 ? "sys" : "io"),
      st_info: GLOBAL_FUNCTION,
      st_other: 0,
      st_shndx: 1, // any section but "undefined"
      st_value: at,
      st_size: instructions.length,
    }, SYMTAB_AT + (i + 1) * SYM.size);
  });
  bytes.set(new TextEncoder().encode(STRTAB), STRTAB_AT);
  dynamic.forEach(([d_tag, d_val], i) =>
    DYN.write(view, { d_tag, d_val }, DYNAMIC_AT + i * DYN.size)
  );
  return bytes;
}
