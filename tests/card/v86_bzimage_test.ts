import { assertEquals, assertThrows } from "@std/assert";
import { isBzImage, parseBzImage } from "../../card/machine/v86/bzimage.ts";
import { BootRefused } from "../../card/machine/types.ts";
import { dword, word } from "../support/tiny_kernel.ts";

/** One setup sector and 16 bytes of kernel; the fields of boot.rst that are read, typed by hand. */
function bzImage(changes: readonly [at: number, bytes: readonly number[]][] = []): Uint8Array {
  const file = new Uint8Array(2 * 512 + 16);
  file.set([1], 0x1f1); // setup_sects
  file.set([0x55, 0xaa, 0xeb, 0x6a, 0x48, 0x64, 0x72, 0x53, 0x0f, 0x02], 0x1fe); // to version 2.15
  file.set([1], 0x211); // loaded high
  file.set([0x2a, 0x00], 0x236); // xloadflags of a 32-bit kernel
  file.set([0, 0, 0, 1], 0x258); // pref_address 16 MiB
  file.set([0, 0, 0x20, 0], 0x260); // init_size 2 MiB
  for (const [at, bytes] of changes) file.set(bytes, at);
  return file;
}

Deno.test("parseBzImage() tells the header, the 32-bit part and what the kernel unpacks to", () => {
  assertEquals(isBzImage(bzImage()), true);
  assertEquals(parseBzImage(bzImage()), {
    header: { start: 0x1f1, end: 0x202 + 0x6a },
    protectedStart: 1024,
    workArea: { start: 0x100_0000, end: 0x120_0000 },
  });
});

Deno.test("parseBzImage() takes no setup sectors for four", () => {
  const file = new Uint8Array(5 * 512 + 1);
  file.set(bzImage([[0x1f1, [0]]]));
  assertEquals(parseBzImage(file).protectedStart, 5 * 512);
});

const REFUSED = [
  { when: "it is for x86-64", file: bzImage([[0x236, [0x2b]]]), code: "KA", says: "x86-64" },
  { when: "it is old", file: bzImage([[0x206, word(0x209)]]), code: "KF", says: "0x209" },
  { when: "it wants to be low", file: bzImage([[0x211, [0]]]), code: "KF", says: "zImage" },
  { when: "it is cut short", file: bzImage().subarray(0, 1024), code: "KF", says: "1024 bytes" },
];
for (const { when, file, code, says } of REFUSED) {
  Deno.test(`parseBzImage() refuses a file when ${when}`, () => {
    const error = assertThrows(() => parseBzImage(file), BootRefused, says);
    assertEquals(error.postCode, code);
  });
}

Deno.test("isBzImage() wants boot flag, magic and a whole header", () => {
  assertEquals(isBzImage(bzImage([[0x1fe, word(0)]])), false);
  assertEquals(isBzImage(bzImage([[0x202, dword(0)]])), false);
  assertEquals(isBzImage(bzImage().subarray(0, 0x263)), false);
  assertEquals(isBzImage(new Uint8Array()), false);
});
