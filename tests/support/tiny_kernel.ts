/**
 * Kernels of a few bytes for the v86 machine: an ELF around hand-assembled 32-bit code, and the instructions it needs.
 *
 * @module
 */

/** Where the code of {@linkcode tinyKernel} is loaded and entered. */
export const CODE = 0x20_0000;

/** Little-endian bytes. */
export const word = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff];
export const dword = (value: number): number[] => [
  ...word(value),
  ...word(value >>> 16),
];

/** An ELF32 executable; every field may be spoiled by the caller afterwards. */
export function elf32(
  entry: number,
  segments: readonly { address: number; bytes: readonly number[]; memory?: number }[],
): Uint8Array {
  const headers = 52 + 32 * segments.length;
  const program: number[] = [];
  const content: number[] = [];
  for (const { address, bytes, memory = bytes.length } of segments) {
    const offset = headers + content.length;
    program.push(
      ...[1, offset, address, address, bytes.length, memory, 7, 0x1000].flatMap(dword),
    );
    content.push(...bytes);
  }
  return new Uint8Array([
    ...[0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ...[...word(2), ...word(3), ...dword(1), ...dword(entry), ...dword(52), ...dword(0)],
    ...[...dword(0), ...word(52), ...word(32), ...word(segments.length), 0, 0, 0, 0, 0, 0],
    ...program,
    ...content,
  ]);
}

/** A kernel that is `code`, loaded at {@linkcode CODE}. */
export function tinyKernel(...code: readonly number[][]): Uint8Array {
  return elf32(CODE, [{ address: CODE, bytes: code.flat() }]);
}

/** Instructions. EAX is the accumulator, EDX the port, as the CPU has it. */
export const CLI = [0xfa];
export const STI = [0xfb];
export const HLT = [0xf4];
export const SPIN = [0xeb, 0xfe];
export const RET = [0xc3];
export const IRET = [0xcf];
export const movEax = (value: number): number[] => [0xb8, ...dword(value)];
export const movEdx = (value: number): number[] => [0xba, ...dword(value)];
/** Stores EAX. */
export const store = (address: number): number[] => [0xa3, ...dword(address)];
/** OUT DX of AL, AX or EAX; IN DX likewise. */
export const OUT = { 1: [0xee], 2: [0x66, 0xef], 4: [0xef] } as const;
export const IN = { 1: [0xec], 2: [0x66, 0xed], 4: [0xed] } as const;
export const out = (port: number, value: number, width: 1 | 2 | 4): number[] => [
  ...movEdx(port),
  ...movEax(value),
  ...OUT[width],
];
/** Zero-extended into EAX. */
export const inp = (port: number, width: 1 | 2 | 4): number[] => [
  ...movEdx(port),
  ...movEax(0),
  ...IN[width],
];
/** Writes a POST code of two characters. */
export const post = (text: string): number[] =>
  out(0x280, text.charCodeAt(0) | text.charCodeAt(1) << 8, 2);
/** The end of every kernel that does not end otherwise. */
export const HALT = [...CLI, ...HLT, ...SPIN];
/** EAX = the double word at `register` of the PCI configuration space of slot `slot`. */
export const pciRead = (slot: number, register: number): number[] => [
  ...out(0xcf8, 0x8000_0000 | slot << 11 | register, 4),
  ...inp(0xcfc, 4),
];
/** Writes to that register at `byte` of the double word. */
export const pciWrite = (
  slot: number,
  register: number,
  byte: number,
  value: number,
  width: 1 | 2 | 4,
): number[] => [
  ...out(0xcf8, 0x8000_0000 | slot << 11 | register, 4),
  ...out(0xcfc + byte, value, width),
];
