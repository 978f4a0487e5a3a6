import { assertEquals, assertThrows } from "@std/assert";
import { bootParams, prepareLinux } from "../../card/machine/v86/linux_boot.ts";
import { type BootImage, BootRefused, type CardMemory } from "../../card/machine/types.ts";
import { viewOf } from "../../protocol/mod.ts";
import { elf32 } from "../support/tiny_kernel.ts";

const MIB = 0x10_0000;

/** Memory that knows which bytes were written without saying so. */
function fakeMemory(size: number) {
  const bytes = new Uint8Array(size);
  const said = new Uint8Array(size);
  const memory: CardMemory = {
    size,
    bytes: () => bytes,
    view: () => viewOf(bytes),
    written: (start, end) => void said.fill(1, start, end),
  };
  return { memory, bytes, said };
}

function imageIn(bytes: Uint8Array, address: number, file: Uint8Array): BootImage {
  bytes.set(file, address);
  return { kernel: { address, length: file.length }, initrd: undefined, cmdline: "" };
}

Deno.test("bootParams() of an ELF is the zero page of boot.rst", () => {
  const page = bootParams(128 * MIB, {
    kernel: { address: 0x400_0000, length: 1 },
    initrd: { address: 0x500_0000, length: 0x1234 },
    cmdline: "quiet",
  }, undefined);
  const golden = new Uint8Array(4096);
  golden.set([0x00, 0xfc, 0x01, 0x00], 0x1e0); // alt_mem_k: 127 MiB
  golden.set([2], 0x1e8); // e820 entries
  golden.set([0x55, 0xaa], 0x1fe);
  golden.set([0x48, 0x64, 0x72, 0x53, 0x0f, 0x02], 0x202); // "HdrS", 2.15
  golden.set([0xff, 0x01], 0x210); // undefined loader, loaded high
  golden.set([0, 0, 0, 5, 0x34, 0x12, 0, 0], 0x218); // initrd
  golden.set([0, 0x10, 9, 0], 0x228); // command line at 0x91000
  golden.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0], 0x2d0);
  golden.set([0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0xf0, 7, 0, 0, 0, 0, 1, 0, 0, 0], 0x2d0 + 20);
  assertEquals(page, golden);
});

Deno.test("bootParams() of a bzImage starts from its own setup header", () => {
  const header = new Uint8Array(0x7b).fill(0x77);
  const image = { kernel: { address: 0, length: 1 }, initrd: undefined, cmdline: "" };
  const page = bootParams(64 * MIB, image, header);
  assertEquals([page[0x1f0], page[0x1f1], page[0x26b], page[0x26c]], [0, 0x77, 0x77, 0]);
  assertEquals([page[0x210], page[0x211]], [0xff, 0x77 | 1]);
  assertEquals(viewOf(page).getUint32(0x218, true), 0, "no initrd");
});

Deno.test("prepareLinux() loads segments, clears behind them, and says all it wrote", () => {
  const { memory, bytes, said } = fakeMemory(8 * MIB);
  const file = elf32(2 * MIB, [{ address: 2 * MIB, bytes: [1, 2, 3, 4], memory: 8 }, {
    address: 3 * MIB,
    bytes: [5, 6],
  }]);
  const image = imageIn(bytes, 4 * MIB, file);
  bytes.fill(0xcc, 2 * MIB, 2 * MIB + 16);
  const before = bytes.slice();
  prepareLinux(memory, { ...image, cmdline: "a=é" }, 0x0e20);
  assertEquals([...bytes.subarray(2 * MIB, 2 * MIB + 9)], [1, 2, 3, 4, 0, 0, 0, 0, 0xcc]);
  assertEquals([...bytes.subarray(3 * MIB, 3 * MIB + 2)], [5, 6]);
  assertEquals([...bytes.subarray(0x91000, 0x91006)], [0x61, 0x3d, 0xc3, 0xa9, 0, 0]);
  const silent = bytes.findIndex((byte, i) => byte !== before[i] && said[i] === 0);
  assertEquals(silent, -1, "a byte was written and not said");
});

Deno.test("prepareLinux() loads a kernel whose segments land on its own download", () => {
  const { memory, bytes } = fakeMemory(8 * MIB);
  // The first segment lands on the bytes of the second.
  const second = Array.from({ length: 4096 }, (_, i) => i & 0xff);
  const file = elf32(2 * MIB, [
    { address: 2 * MIB, bytes: new Array(8192).fill(0x90) },
    { address: 3 * MIB, bytes: second },
  ]);
  prepareLinux(memory, imageIn(bytes, 2 * MIB - 4096, file), 0);
  assertEquals(bytes.subarray(2 * MIB, 2 * MIB + 8192).every((byte) => byte === 0x90), true);
  assertEquals(bytes.slice(3 * MIB, 3 * MIB + 4096), new Uint8Array(second));
});

Deno.test("prepareLinux() loads a kernel into memory that moves as it is told of a write", () => {
  let bytes = new Uint8Array(8 * MIB);
  const memory: CardMemory = {
    size: bytes.length,
    bytes: () => bytes,
    view: () => viewOf(bytes),
    written: () => void (bytes = new Uint8Array(bytes.buffer.transfer())),
  };
  const file = elf32(2 * MIB, [{ address: 2 * MIB, bytes: [1, 2] }, {
    address: 3 * MIB,
    bytes: [5, 6],
  }]);
  prepareLinux(memory, imageIn(bytes, 4 * MIB, file), 0);
  assertEquals([bytes[2 * MIB + 1], bytes[3 * MIB + 1]], [2, 6]);
});

Deno.test("prepareLinux() leaves a ROM that jumps from the reset vector", () => {
  const { memory, bytes } = fakeMemory(8 * MIB);
  const file = elf32(2 * MIB, [{ address: 2 * MIB, bytes: [0xf4] }]);
  prepareLinux(memory, imageIn(bytes, 4 * MIB, file), 0x0e20);
  assertEquals([...bytes.subarray(0xffff0, 0xffff5)], [0xea, 0x00, 0xfe, 0x00, 0xf0]);
  // mov al, levels of 0 to 7 and of 8 to 15.
  assertEquals([bytes[0xffe06], bytes[0xffe0a]], [0x20, 0x0e]);
  // mov esi, boot_params and mov eax, entry.
  assertEquals([...bytes.subarray(0xffe54, 0xffe59)], [0xbe, 0, 0, 9, 0]);
  assertEquals([...bytes.subarray(0xffe5f, 0xffe64)], [0xb8, 0, 0, 0x20, 0]);
});

const at = (address: number, memory = 1) => elf32(address, [{ address, bytes: [0xf4], memory }]);
const part = (address: number, length: number) => ({ address, length });
const REFUSED: {
  when: string;
  file: Uint8Array;
  change: Partial<BootImage>;
  code: string;
  says: string;
}[] = [
  {
    when: "the file is no kernel",
    file: new TextEncoder().encode("not a kernel"),
    change: {},
    code: "KF",
    says: "no kernel",
  },
  { when: "a segment lies low", file: at(0x9_0000), change: {}, code: "KM", says: "below 1 MiB" },
  {
    when: "a segment lies behind memory",
    file: at(8 * MIB),
    change: {},
    code: "KM",
    says: "reaches to 9 MiB, the card has 8 MiB",
  },
  {
    when: "a segment's bss reaches behind memory",
    file: at(7 * MIB, MIB + 1),
    change: {},
    code: "KM",
    says: "the card has 8 MiB",
  },
  {
    when: "a segment lands on the initrd",
    file: at(2 * MIB, 0x2000),
    change: { initrd: part(2 * MIB + 0x1fff, 10) },
    code: "KM",
    says: "where the initrd lies",
  },
  {
    when: "the kernel lies behind memory",
    file: at(2 * MIB),
    change: { kernel: part(8 * MIB - 1, 2) },
    code: "KM",
    says: "the kernel reaches to 9 MiB",
  },
  {
    when: "the initrd lies behind memory",
    file: at(2 * MIB),
    change: { initrd: part(7 * MIB, 2 * MIB) },
    code: "KM",
    says: "the initrd reaches to 9 MiB",
  },
  {
    when: "the command line is too long",
    file: at(2 * MIB),
    change: { cmdline: "x".repeat(2048) },
    code: "CL",
    says: "2048 bytes",
  },
  {
    when: "the command line has a NUL",
    file: at(2 * MIB),
    change: { cmdline: "a\0b" },
    code: "CL",
    says: "no NUL",
  },
];
for (const { when, file, change, code, says } of REFUSED) {
  Deno.test(`prepareLinux() refuses, and touches nothing, when ${when}`, () => {
    const { memory, bytes } = fakeMemory(8 * MIB);
    const image = { ...imageIn(bytes, 4 * MIB, file), ...change };
    const before = bytes.slice();
    const error = assertThrows(() => prepareLinux(memory, image, 0), BootRefused, says);
    assertEquals(error.postCode, code);
    assertEquals(bytes.findIndex((byte, i) => byte !== before[i]), -1);
  });
}

Deno.test("prepareLinux() refuses a bzImage that would unpack over its initrd", () => {
  const { memory, bytes } = fakeMemory(32 * MIB);
  const file = new Uint8Array(2 * 512 + 16);
  file.set([1], 0x1f1);
  file.set([0x55, 0xaa, 0xeb, 0x6a, 0x48, 0x64, 0x72, 0x53, 0x0f, 0x02], 0x1fe);
  file.set([1], 0x211);
  file.set([0, 0, 0, 1], 0x258);
  file.set([0, 0, 0x20, 0], 0x260);
  const image = imageIn(bytes, 4 * MIB, file);
  const bad = { ...image, initrd: part(17 * MIB, 4096) };
  assertThrows(() => prepareLinux(memory, bad, 0), BootRefused, "where the initrd lies");
  prepareLinux(memory, { ...image, initrd: part(18 * MIB, 4096) }, 0);
  assertEquals(bytes.slice(MIB, MIB + 16), file.slice(1024));
});
