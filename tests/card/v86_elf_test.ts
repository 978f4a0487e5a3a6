import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { isElf, parseElf } from "../../card/machine/v86/elf.ts";
import { BootRefused } from "../../card/machine/types.ts";
import { dword, elf32, word } from "../support/tiny_kernel.ts";

/** Two segments with a bss behind the second: typed by hand from the System V ABI. */
const GOOD = new Uint8Array([
  ...[0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], // e_ident
  ...[2, 0, 3, 0, 1, 0, 0, 0], // executable, 80386, version 1
  ...[0x10, 0, 0, 1], // e_entry 0x1000010
  ...[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // e_phoff 52, e_shoff, e_flags
  ...[0x34, 0, 0x20, 0, 3, 0, 0, 0, 0, 0, 0, 0], // sizes; three program headers
  // PT_LOAD: offset 0x94, virtual 0xc1000000, physical 0x1000000, 4 bytes in file, 0x20 in memory
  ...[1, 0, 0, 0, 0x94, 0, 0, 0, 0, 0, 0, 0xc1, 0, 0, 0, 1],
  ...[4, 0, 0, 0, 0x20, 0, 0, 0, 5, 0, 0, 0, 0, 0x10, 0, 0],
  // PT_NOTE, which is not loaded
  ...[4, 0, 0, 0, 0x94, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
  ...[4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0],
  // PT_LOAD: offset 0x98, physical 0x2000000, nothing but bss
  ...[1, 0, 0, 0, 0x98, 0, 0, 0, 0, 0, 0, 0xc2, 0, 0, 0, 2],
  ...[0, 0, 0, 0, 0x00, 0x10, 0, 0, 6, 0, 0, 0, 0, 0x10, 0, 0],
  ...[0xde, 0xad, 0xbe, 0xef],
]);

Deno.test("parseElf() tells what is loaded where, and the entry", () => {
  assertEquals(parseElf(GOOD), {
    entry: 0x1000010,
    segments: [
      { offset: 0x94, fileLength: 4, address: 0x100_0000, memoryLength: 0x20 },
      { offset: 0x98, fileLength: 0, address: 0x200_0000, memoryLength: 0x1000 },
    ],
  });
});

/** GOOD with `bytes` at `at`. */
function spoiled(at: number, bytes: readonly number[]): Uint8Array {
  const file = GOOD.slice();
  file.set(bytes, at);
  return file;
}

const REFUSED = [
  { when: "it is 64-bit", file: spoiled(4, [2]), code: "KA", says: "not 32-bit" },
  { when: "it is big-endian", file: spoiled(5, [2]), code: "KA", says: "not 32-bit" },
  { when: "it is for ARM", file: spoiled(18, [40]), code: "KA", says: "machine 40" },
  { when: "it is an object file", file: spoiled(16, [1]), code: "KF", says: "type 1" },
  {
    when: "its program headers have another size",
    file: spoiled(42, word(56)),
    code: "KF",
    says: "56 bytes",
  },
  {
    when: "its program headers lie behind its end",
    file: spoiled(28, dword(0xffff_fff0)),
    code: "KF",
    says: "program headers",
  },
  {
    when: "a segment's bytes lie behind its end",
    file: spoiled(52 + 16, dword(5)),
    code: "KF",
    says: "segment 0",
  },
  {
    when: "a segment's offset lies behind its end",
    file: spoiled(52 + 4, dword(0xffff_ffff)),
    code: "KF",
    says: "segment 0",
  },
  {
    when: "a segment has more bytes than memory",
    file: spoiled(52 + 20, dword(3)),
    code: "KF",
    says: "4 bytes for 3",
  },
  {
    when: "two segments overlap",
    file: spoiled(52 + 64 + 12, dword(0x100_001f)),
    code: "KF",
    says: "two segments at 0x100001f",
  },
  {
    when: "its entry is in no segment",
    file: spoiled(24, dword(0x100_0020)),
    code: "KF",
    says: "0x1000020",
  },
  { when: "nothing is loaded", file: elf32(0, []), code: "KF", says: "nothing to load" },
];
for (const { when, file, code, says } of REFUSED) {
  Deno.test(`parseElf() refuses a file when ${when}`, () => {
    const error = assertThrows(() => parseElf(file), BootRefused, says);
    assertEquals(error.postCode, code);
  });
}

Deno.test("parseElf() refuses a file cut short at any byte", () => {
  for (let length = 4; length < GOOD.length; length++) {
    assertThrows(() => parseElf(GOOD.subarray(0, length)), BootRefused, "ends before");
  }
});

Deno.test("parseElf() refuses or parses, whatever the bytes", () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(GOOD.length - 1), fc.nat(255))), (changes) => {
    const file = GOOD.slice();
    for (const [at, value] of changes) file[at] = value;
    try {
      for (const { offset, fileLength } of parseElf(file).segments) {
        if (offset + fileLength > file.length) throw new Error("a segment outside of the file");
      }
    } catch (error) {
      if (!(error instanceof BootRefused)) throw error;
    }
  }));
});

Deno.test("isElf() wants the four bytes of magic", () => {
  assertEquals(isElf(GOOD), true);
  assertEquals(isElf(GOOD.subarray(0, 3)), false);
  assertEquals(isElf(spoiled(1, [0])), false);
});
