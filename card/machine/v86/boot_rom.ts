/**
 * The card's boot ROM: takes the CPU from its reset vector to the 32-bit entry point of the kernel.
 *
 * This stands where a PC has its BIOS, which the card does without: nothing but Linux runs here, and it needs none.
 * The emulator starts like an 8086, at F000:FFF0 in the last 16 bytes of the first MiB; without a BIOS image that is
 * plain memory, so these few bytes are all it takes, and no register of the emulated CPU is set from outside.
 *
 * - **Spec:** Linux Documentation/arch/x86/boot.rst, "32-bit Boot Protocol"; Intel SDM vol. 3 §9.9.1 (the switch).
 *
 * @module
 */
import { le16, le32, viewOf } from "../../../protocol/mod.ts";

/** Physical address of the ROM, and its size: the end of the first MiB, up to and including the reset vector. */
export const ROM_ADDRESS = 0xffe00;
const ROM_SIZE = 0x200;
/** Bytes below this grow the stack the kernel starts with. */
const STACK_TOP = 0x90000;
/** Selectors __BOOT_CS and __BOOT_DS, which the boot protocol fixes. */
const BOOT_CS = 0x10;
const BOOT_DS = 0x18;
/** Flat 4 GiB segments: code execute/read, data read/write, both ring 0 and accessed. */
const CODE_DESCRIPTOR = [0xff, 0xff, 0x00, 0x00, 0x00, 0x9b, 0xcf, 0x00];
const DATA_DESCRIPTOR = [0xff, 0xff, 0x00, 0x00, 0x00, 0x93, 0xcf, 0x00];
/** Offsets within the ROM. */
const PROTECTED = 0x40;
const GDTR = 0x80;
const GDT = 0x90;
const RESET_VECTOR = 0x1f0;

export interface RomSettings {
  /** Physical address to jump to, with the CPU as the boot protocol wants it. */
  readonly entry: number;
  /** Physical address of the zero page, handed over in ESI. */
  readonly bootParams: number;
  /** Bit n: ISA interrupt n is level-triggered (the edge/level control registers 0x4d0 and 0x4d1). */
  readonly levelTriggered: number;
}

/** The ROM's bytes, for {@linkcode ROM_ADDRESS}. */
export function bootRom({ entry, bootParams, levelTriggered }: RomSettings): Uint8Array {
  const rom = new Uint8Array(ROM_SIZE);
  const view = viewOf(rom);
  const gdtr16 = (ROM_ADDRESS + GDTR) & 0xffff;
  // 16-bit code at F000:FE00.
  rom.set([
    ...[0xfa], // cli
    ...[0xfc], // cld
    ...[0xba, 0xd0, 0x04], // mov dx, 0x4d0
    ...[0xb0, levelTriggered & 0xff], // mov al, levels of 0 to 7
    ...[0xee], // out dx, al
    ...[0x42], // inc dx
    ...[0xb0, levelTriggered >> 8], // mov al, levels of 8 to 15
    ...[0xee], // out dx, al
    ...[0x2e, 0x66, 0x0f, 0x01, 0x16, gdtr16 & 0xff, gdtr16 >> 8], // lgdt cs:[GDTR]
    ...[0x0f, 0x20, 0xc0], // mov eax, cr0
    ...[0x0c, 0x01], // or al, 1 (protection enable)
    ...[0x0f, 0x22, 0xc0], // mov cr0, eax
    ...[0x66, 0xea, ...dword(ROM_ADDRESS + PROTECTED), BOOT_CS, 0x00], // jmp BOOT_CS:PROTECTED
  ], 0);
  // 32-bit code.
  rom.set([
    ...[0xb8, ...dword(BOOT_DS)], // mov eax, BOOT_DS
    ...[0x8e, 0xd8], // mov ds, ax
    ...[0x8e, 0xc0], // mov es, ax
    ...[0x8e, 0xd0], // mov ss, ax
    ...[0x8e, 0xe0], // mov fs, ax
    ...[0x8e, 0xe8], // mov gs, ax
    ...[0xbc, ...dword(STACK_TOP)], // mov esp, STACK_TOP
    ...[0xbe, ...dword(bootParams)], // mov esi, boot_params
    ...[0x31, 0xed], // xor ebp, ebp
    ...[0x31, 0xff], // xor edi, edi
    ...[0x31, 0xdb], // xor ebx, ebx
    ...[0xb8, ...dword(entry)], // mov eax, entry
    ...[0xff, 0xe0], // jmp eax
  ], PROTECTED);
  le16.set(view, GDTR, BOOT_DS + 8 - 1);
  le32.set(view, GDTR + 2, ROM_ADDRESS + GDT);
  rom.set(CODE_DESCRIPTOR, GDT + BOOT_CS);
  rom.set(DATA_DESCRIPTOR, GDT + BOOT_DS);
  rom.set([0xea, ROM_ADDRESS & 0xff, (ROM_ADDRESS >> 8) & 0xff, 0x00, 0xf0], RESET_VECTOR); // jmp F000:FE00
  return rom;
}

function dword(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
}
