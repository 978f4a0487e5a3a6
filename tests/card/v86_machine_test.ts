import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { v86Machine } from "../../card/machine/v86/machine.ts";
import { BootRefused } from "../../card/machine/types.ts";
import {
  download,
  memoryBytes,
  MIB,
  recorder,
  remapPics,
  RESULT,
  result,
  run,
} from "../support/v86_rig.ts";
import * as asm from "../support/tiny_kernel.ts";

Deno.test("boot() runs an ELF with the registers of the 32-bit boot protocol", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const kernel = asm.tinyKernel(
    [0x89, 0x35, ...asm.dword(RESULT)], // mov [RESULT], esi
    [0x89, 0xe8, 0x09, 0xf8, 0x09, 0xd8], // mov eax, ebp; or eax, edi; or eax, ebx
    asm.store(RESULT + 4),
    [0x9c, 0x58], // pushf; pop eax
    asm.store(RESULT + 8),
    [0x8c, 0xc8], // mov eax, cs
    asm.store(RESULT + 12),
    [0x8c, 0xd8], // mov eax, ds
    asm.store(RESULT + 16),
    asm.post("OK"),
    asm.HALT,
  );
  const { codes, stopped } = run(machine, kernel);
  assertEquals((await stopped).reason, "halted");
  assertEquals(codes, ["OK"]);
  assertEquals(result(machine, 0), 0x90000);
  assertEquals(result(machine, 1), 0, "EBP, EDI and EBX are zero");
  assertEquals(result(machine, 2) & 0x200, 0, "interrupts are off");
  assertEquals([result(machine, 3), result(machine, 4)], [0x10, 0x18]);
  // The zero page that ESI points to, and the command line it points to.
  assertEquals(machine.memory.view().getUint32(0x90000 + 0x228, true), 0x91000);
});

/** lidt of zeros; int3. */
const TRIPLE_FAULT = [0x0f, 0x01, 0x1d, ...asm.dword(RESULT), 0xcc];

const ENDINGS = [
  { when: "it halts", code: asm.HALT, reason: "halted" },
  { when: "it halts after PO", code: [...asm.post("PO"), ...asm.HALT], reason: "poweroff" },
  { when: "it halts after HA", code: [...asm.post("HA"), ...asm.HALT], reason: "halted" },
  { when: "it halts after RS", code: [...asm.post("RS"), ...asm.HALT], reason: "restart" },
  {
    when: "it pulses the reset line of the keyboard controller",
    code: [...asm.out(0x64, 0xfe, 1), ...asm.SPIN],
    reason: "restart",
  },
  {
    when: "it writes the reset control register of the chipset",
    code: [...asm.out(0xcf9, 2, 1), ...asm.out(0xcf9, 6, 1), ...asm.SPIN],
    reason: "restart",
  },
  {
    when: "it faults three times over",
    code: TRIPLE_FAULT,
    reason: "crashed",
  },
  {
    when: "it writes the pvpanic register",
    code: [0xc6, 0x05, ...asm.dword(0xfd00_0000), 1, ...asm.SPIN], // mov byte [..], 1
    reason: "crashed",
  },
] as const;
for (const { when, code, reason } of ENDINGS) {
  Deno.test(`stopped() is called with "${reason}" when ${when}`, async () => {
    await using machine = await v86Machine({ memoryBytes });
    const ending = await run(machine, asm.tinyKernel([...code])).stopped;
    assertEquals(ending.reason, reason);
    assert(ending.detail.length > 10, ending.detail);
  });
}

Deno.test("postCode() takes one byte, and a second one behind it", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const kernel = asm.tinyKernel(
    asm.out(0x280, 0x41, 1),
    asm.out(0x281, 0x42, 1),
    asm.inp(0x280, 2),
    asm.store(RESULT),
    asm.HALT,
  );
  const { codes, stopped } = run(machine, kernel);
  await stopped;
  assertEquals(codes, ["A\0", "AB"]);
  assertEquals(result(machine, 0), 0x4241);
});

Deno.test("plug() shows the function in PCI configuration space, with port and line", async () => {
  await using machine = await v86Machine({ memoryBytes });
  machine.plug(recorder(64).device);
  machine.plug(recorder(16).device);
  const kernel = asm.tinyKernel(
    ...[2, 3].flatMap((slot, i) => [
      [...asm.pciRead(slot, 0x00), ...asm.store(RESULT + 16 * i)],
      [...asm.pciRead(slot, 0x10), ...asm.store(RESULT + 16 * i + 4)],
      [...asm.pciRead(slot, 0x3c), ...asm.store(RESULT + 16 * i + 8)],
      // Sizing: all ones written, the size's complement read, the address put back.
      asm.pciWrite(slot, 0x10, 0, 0xffff_ffff, 4),
      [...asm.pciRead(slot, 0x10), ...asm.store(RESULT + 16 * i + 12)],
    ]),
    asm.HALT,
  );
  await run(machine, kernel).stopped;
  assertEquals([0, 1, 2, 3].map((i) => result(machine, i)), [
    0x1042_1af4,
    0xc001,
    0x0105,
    0xffff_ffc1,
  ]);
  assertEquals([4, 5, 6, 7].map((i) => result(machine, i)), [
    0x1042_1af4,
    0xc041,
    0x0109,
    0xffff_fff1,
  ]);
});

Deno.test("plug() refuses a function that does not fit, and one too many", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const { device } = recorder();
  for (const barSize of [0, 2, 24, 8192]) {
    assertThrows(() => machine.plug({ ...device, barSize }), RangeError, `${barSize} bytes`);
  }
  const short = { ...device, pciConfig: new Uint8Array(64) };
  assertThrows(() => machine.plug(short), RangeError, "64 bytes");
  for (let slot = 2; slot <= 29; slot++) machine.plug(device);
  assertThrows(() => machine.plug(device), RangeError, "full");
});

Deno.test("plug() leaves no VGA, IDE or network adapter on the bus", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const slots = [0x05, 0x12];
  const kernel = asm.tinyKernel(
    ...slots.map((slot, i) => [...asm.pciRead(slot, 0), ...asm.store(RESULT + 4 * i)]),
    asm.HALT,
  );
  await run(machine, kernel).stopped;
  assertEquals(slots.map((_, i) => result(machine, i)), slots.map(() => 0xffff_ffff));
});

Deno.test("plugHot() puts functions behind root ports, one each, where they come and go", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const devices = Array.from({ length: 9 }, () => recorder(16).device);
  for (const device of devices.slice(0, 8)) machine.plugHot(device);
  assertThrows(() => machine.plugHot(devices[8]!), RangeError, "all 8 hot-plug slots are taken");
  assertThrows(() => machine.plugHot({ ...devices[8]!, barSize: 512 }), RangeError, "4 to 256");
  machine.announceRemoval(devices[1]!);
  machine.unplug(devices[1]!);
  machine.announceRemoval(devices[2]!);
  const read = (bus: number, slot: number, register: number) =>
    asm.pciRead(bus << 5 | slot, register);
  const kernel = asm.tinyKernel(
    ...[
      read(0, 30, 0x00), // a root port with several functions
      read(0, 30, 0x18), // its buses: 0, 1, 1
      read(0, 30, 0x0c), // header type 81
      read(0, 30, 0x58), // slot status: present, and changed
      read(1, 0, 0x00), // what is in slot 1
      read(1, 1, 0x00), // and nothing behind it
      read(2, 0, 0x00), // slot 2 was emptied
      read(3, 0, 0x00), // the one in slot 3 still answers
    ].map((code, i) => [...code, ...asm.store(RESULT + 4 * i)]),
    asm.HALT,
  );
  await run(machine, kernel).stopped;
  assertEquals([0, 1, 2, 3, 4, 5, 6, 7].map((i) => result(machine, i)), [
    0x3420_8086,
    0x0001_0100,
    0x0081_0000,
    0x0148_0000,
    0x1042_1af4,
    0xffff_ffff,
    0xffff_ffff,
    0x1042_1af4,
  ]);
  // What is free can be filled again.
  machine.plugHot(devices[8]!);
});

Deno.test("the CPU goes on when it writes to a PCI slot with nothing in it", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const kernel = asm.tinyKernel(
    asm.pciWrite(9, 0x04, 0, 7, 1),
    asm.pciWrite(9, 0x04, 0, 7, 2),
    asm.pciWrite(9, 0x04, 0, 7, 4),
    asm.post("OK"),
    asm.HALT,
  );
  const { codes, stopped } = run(machine, kernel);
  assertEquals((await stopped).reason, "halted");
  assertEquals(codes, ["OK"]);
});

Deno.test("a function is accessed with width, offset and unsigned values", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const { device, log, answer } = recorder();
  machine.plug(device);
  answer(0xfedc_ba98);
  const kernel = asm.tinyKernel(
    asm.out(0xc000, 0xffff_fffe, 4),
    asm.out(0xc004, 0xffff_fffd, 2),
    asm.out(0xc007, 0xffff_fffc, 1),
    [...asm.inp(0xc008, 4), ...asm.store(RESULT)],
    [...asm.inp(0xc00a, 2), ...asm.store(RESULT + 4)],
    [...asm.inp(0xc00f, 1), ...asm.store(RESULT + 8)],
    // Over the end of the BAR: nobody answers.
    [...asm.inp(0xc00f, 2), ...asm.store(RESULT + 12)],
    asm.out(0xc00e, 1, 4),
    asm.HALT,
  );
  await run(machine, kernel).stopped;
  assertEquals(log, [
    "write4 0 fffffffe",
    "write2 4 fffd",
    "write1 7 fc",
    "read4 8",
    "read2 10",
    "read1 15",
  ]);
  assertEquals([0, 1, 2, 3].map((i) => result(machine, i)), [0xfedc_ba98, 0xba98, 0x98, 0xffff]);
});

Deno.test("a function follows its BAR when the card OS moves it", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const { device, log } = recorder();
  machine.plug(device);
  const kernel = asm.tinyKernel(
    asm.pciWrite(2, 0x10, 0, 0xffff_ffff, 4),
    asm.pciWrite(2, 0x10, 0, 0xe000, 4),
    asm.out(0xc004, 1, 1),
    asm.out(0xe004, 2, 1),
    asm.HALT,
  );
  await run(machine, kernel).stopped;
  assertEquals(log, ["write1 4 2"]);
});

Deno.test("stopped() says crashed when a function throws in an access", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const { device } = recorder();
  machine.plug({ ...device, read: () => assert(false, "no such register") as never });
  const kernel = asm.tinyKernel(asm.inp(0xc000, 1), asm.HALT);
  const { reason, detail } = await run(machine, kernel).stopped;
  assertEquals(reason, "crashed");
  assert(detail.includes("no such register"), detail);
});

Deno.test("a crashed machine still takes interrupts, writes and a request, to no effect", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const line = machine.plug(recorder().device);
  await run(machine, asm.tinyKernel(TRIPLE_FAULT)).stopped;
  line.set(true);
  line.set(false);
  machine.memory.written(0, machine.memory.size);
  machine.requestShutdown();
});

Deno.test("written() drops code compiled from the bytes before", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const CALLED = asm.CODE + 0x2000;
  // Called often enough to be compiled; the rounds after GO are for the code to change, and for nothing else to end.
  const ROUNDS = 3_000_000;
  const main = [
    ...[0xb9, ...asm.dword(ROUNDS)], // mov ecx, ROUNDS
    ...[0xe8, ...asm.dword(0x2000 - 10)], // again: call CALLED
    ...[0x83, 0xf8, 0x01, 0x75, 0x15], // cmp eax, 1; jne changed
    ...[0xe2, 0xf4], // loop again
    ...[0x85, 0xdb, 0x75, 0x0f, 0x43], // test ebx, ebx; jne changed; inc ebx
    ...asm.post("GO"), // (12 bytes)
    ...[0xeb, 0xdc], // jmp to the first instruction
    ...asm.store(RESULT), // changed:
    ...asm.HALT,
  ];
  const kernel = asm.elf32(asm.CODE, [
    { address: asm.CODE, bytes: main },
    { address: CALLED, bytes: [...asm.movEax(1), ...asm.RET] },
  ]);
  const { codes, stopped } = run(machine, kernel, () => {
    machine.memory.bytes().set(asm.dword(2), CALLED + 1);
    machine.memory.written(CALLED + 1, CALLED + 5);
  });
  await stopped;
  assertEquals(codes, ["GO"]);
  assertEquals(result(machine, 0), 2);
});

Deno.test("onSerial() hears each byte that goes out of the first serial port", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const text = "early log\n";
  const kernel = asm.tinyKernel(
    ...[...text].map((c) => asm.out(0x3f8, c.charCodeAt(0), 1)),
    asm.HALT,
  );
  let heard = "";
  await new Promise<void>((resolve) =>
    machine.boot(download(machine, kernel), {
      stopped: () => resolve(),
      postCode: () => {},
      onSerial: (byte) => heard += String.fromCharCode(byte),
    })
  );
  assertEquals(heard, text);
});

Deno.test("the keyboard controller translates scancodes, as a BIOS would have left it", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const kernel = asm.tinyKernel(
    asm.out(0x64, 0x20, 1), // read the command byte
    [...asm.inp(0x60, 1), ...asm.store(RESULT)],
    asm.HALT,
  );
  await run(machine, kernel).stopped;
  assertEquals(result(machine, 0) & 0x40, 0x40);
});

Deno.test("requestShutdown() presses Ctrl-Alt-Del, and the halt after it is a power off", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const kernel = asm.tinyKernel(
    asm.out(0x60, 0xf4, 1), // enable scanning
    [...asm.inp(0x60, 1), ...asm.post("KB")], // its acknowledgement
    [0xbf, ...asm.dword(RESULT)], // mov edi, RESULT
    [0xe4, 0x64, 0xa8, 0x01, 0x74, 0xfa], // poll: in al, 0x64; test al, 1; jz poll
    [0xe4, 0x60, 0xaa], // in al, 0x60; stosb
    [0x3c, 0x9d, 0x75, 0xf3], // until Ctrl is released: cmp al, 0x9d; jne poll
    asm.HALT,
  );
  const { stopped } = run(machine, kernel, () => setTimeout(() => machine.requestShutdown()));
  assertEquals((await stopped).reason, "poweroff");
  assertEquals(
    machine.memory.bytes().slice(RESULT, RESULT + 8),
    new Uint8Array([0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d]),
  );
});

Deno.test("two machines run side by side", async () => {
  await using one = await v86Machine({ memoryBytes });
  await using other = await v86Machine({ memoryBytes });
  const runs = [["01", one], ["02", other]] as const;
  const all = runs.map(([text, machine]) =>
    run(
      machine,
      asm.tinyKernel(asm.movEax(text.charCodeAt(1)), asm.store(RESULT), asm.post(text), asm.HALT),
    )
  );
  for (const { stopped } of all) await stopped;
  assertEquals(all.map(({ codes }) => codes), [["01"], ["02"]]);
  assertEquals([result(one, 0), result(other, 0)], [0x31, 0x32]);
});

const RUNNING = [
  { what: "was never booted", code: undefined },
  { what: "is busy", code: [...asm.post("GO"), ...asm.SPIN] },
  { what: "is idle", code: [...asm.post("GO"), ...asm.STI, ...asm.HLT, 0xeb, 0xfd] },
] as const;
for (const { what, code } of RUNNING) {
  Deno.test(`a machine that ${what} leaves nothing behind when disposed`, async () => {
    const machine = await v86Machine({ memoryBytes });
    let stopped = false;
    if (code !== undefined) {
      await new Promise<void>((resolve) => {
        const { stopped: end } = run(
          machine,
          asm.tinyKernel(remapPics(0xffff), [...code]),
          () => resolve(),
        );
        end.then(() => stopped = true);
      });
      // A few slices later it is in the middle of what it does.
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve));
    }
    await machine[Symbol.asyncDispose]();
    assertEquals(stopped, false);
  });
}

Deno.test("memory of a new machine reads as zeros", async () => {
  await using machine = await v86Machine({ memoryBytes });
  assertEquals(machine.memory.size, memoryBytes);
  assertEquals(machine.memory.bytes().findIndex((byte) => byte !== 0), -1);
});

Deno.test("v86Machine() refuses memory it cannot have", async () => {
  for (const bad of [0, MIB, 3 * MIB + 4096, 2048 * MIB, NaN]) {
    await assertRejects(() => v86Machine({ memoryBytes: bad }), RangeError, "whole MiB");
  }
});

Deno.test("boot() and plug() refuse a machine that has booted, and boot() a file that is no kernel", async () => {
  await using machine = await v86Machine({ memoryBytes });
  const events = { stopped: () => {}, postCode: () => {} };
  const wrong = download(machine, new TextEncoder().encode("#!/bin/sh\n"));
  assertThrows(() => machine.boot(wrong, events), BootRefused, "no kernel");
  // A refused boot is no boot.
  const right = download(machine, asm.tinyKernel(asm.HALT));
  machine.boot(right, events);
  assertThrows(() => machine.boot(right, events), TypeError, "has booted");
  assertThrows(() => machine.plug(recorder().device), TypeError, "has booted");
});
