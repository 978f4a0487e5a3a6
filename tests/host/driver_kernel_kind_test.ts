import { assertEquals, assertThrows } from "@std/assert";
import { BootError } from "../../host/driver/boot_error.ts";
import { identify, kernelKind } from "../../host/driver/kernel_kind.ts";

const bytes = (text: string, length = text.length) => {
  const out = new Uint8Array(length);
  out.set(Array.from(text, (c) => c.charCodeAt(0)));
  return out;
};

function elf(bits: 1 | 2, machine: number): Uint8Array {
  const head = bytes("\x7fELF", 64);
  head[4] = bits;
  head[18] = machine;
  return head;
}

/** A setup header as the boot protocol lays it out: 55 aa at 1fe, HdrS, version, load flags, xload flags. */
function bzImage({ version = 0x20f, loadFlags = 1, xloadFlags = 0, size = 0x1000 } = {}) {
  const head = new Uint8Array(1024);
  head.set([0x55, 0xaa], 0x1fe);
  head.set(bytes("HdrS"), 0x202);
  head.set([version & 0xff, version >> 8], 0x206);
  head[0x211] = loadFlags;
  head[0x236] = xloadFlags;
  head.set([size & 0xff, size >> 8], 0x1f4);
  return head;
}

Deno.test("kernelKind() knows the kernels of each platform", () => {
  assertEquals(kernelKind("vmlinux", elf(1, 3), "v86"), "elf");
  assertEquals(kernelKind("vmlinuz", bzImage(), "v86"), "bzimage");
  assertEquals(kernelKind("vmlinuz", bzImage({ version: 0x204, xloadFlags: 1 }), "v86"), "bzimage");
  assertEquals(kernelKind("diag.img", bytes("KBDIAG1\nquiet"), "diag"), "diag");
});

const FOUND: readonly (readonly [Uint8Array, string])[] = [
  [new Uint8Array(0), "an empty file"],
  [elf(2, 62), "a 64-bit ELF file for machine 62"],
  [elf(1, 40), "a 32-bit ELF file for machine 40"],
  [bytes("\x7fELF"), "a truncated ELF file"],
  [bzImage({ xloadFlags: 1 }), "a 64-bit x86 bzImage"],
  [bzImage({ loadFlags: 0 }), "a Linux zImage"],
  [bzImage({ size: 0 }), "a bzImage without a kernel in it"],
  [bzImage().subarray(0, 0x230), "a truncated Linux kernel"],
  [bytes("KBDIAG1\n"), "a diagnostic OS image"],
  [bytes("\x1f\x8b\x08\x00"), "a gzip file"],
  [bytes("070701000"), "a cpio archive (an initrd?)"],
  [bytes("QFI\xfb\x00\x00"), "a qcow2 disk image"],
  [bytes("hello, world\n"), "a text file"],
  [bytes("\x00\x01\x02"), "a file of unknown format"],
];
for (const [head, found] of FOUND) {
  Deno.test(`kernelKind() refuses ${found} on v86`, () => {
    assertEquals(identify(head).text, found);
    assertThrows(
      () => kernelKind("x.img", head, "v86"),
      BootError,
      `Cannot boot 'x.img': found ${found}, wanted a 32-bit x86 Linux kernel (ELF or bzImage)`,
    );
  });
}

Deno.test("kernelKind() refuses Linux on diag, and anything on an unknown platform", () => {
  assertThrows(
    () => kernelKind("vmlinux", elf(1, 3), "diag"),
    BootError,
    "Cannot boot 'vmlinux': found a 32-bit x86 ELF file, wanted a diagnostic OS image",
  );
  assertThrows(
    () => kernelKind("vmlinux", elf(1, 3), "platform 0x09"),
    BootError,
    "Cannot boot 'vmlinux': the card is a platform 0x09, wanted v86 or diag",
  );
});
