import { assertEquals } from "@std/assert";
import { HostPage } from "../../host/driver/host_page.ts";
import { SystemMemory } from "../../host/driver/system_memory.ts";

function makePage() {
  const memory = new SystemMemory();
  const page = new HostPage(memory);
  const write = (at: number, hex: string) =>
    memory.write(page.address + at, Uint8Array.fromHex(hex.replaceAll(" ", "")));
  return { memory, page, write };
}

Deno.test("HostPage reads the header that the card wrote", () => {
  const { page, write } = makePage();
  assertEquals(page.cardState, undefined);
  write(0, "00eeffc0 01000000 04000000 03000000 09000000 05000000");
  write(128, "68656c6c6f");
  assertEquals(page.cardState, "stopped");
  assertEquals(page.shutdownReason, "poweroff");
  assertEquals(page.text, "hello");
});

Deno.test("HostPage reads the piece of serial output that the card wrote, no more than there is room for", () => {
  const { page, write } = makePage();
  write(0, "00eeffc0 01000000 03000000 00000000 09000000 00000000");
  write(24, "04030201 03000000 f8ffffff 00000100");
  write(2048, "4c696e 7578");
  assertEquals([page.serialPiece, page.serialWaiting], [0x0102_0304, 65_536]);
  const { bytes, position } = page.serial;
  assertEquals(new TextDecoder().decode(bytes), "Lin");
  assertEquals(position, 0xffff_fff8);
  write(28, "ffffffff");
  write(2048, "00");
  assertEquals([page.serial.bytes.length, bytes[0]], [2048, 0x4c]);
});

Deno.test("HostPage takes nothing from a header of another magic, version or state", () => {
  const { page, write } = makePage();
  write(0, "01eeffc0 01000000 03000000");
  assertEquals(page.cardState, undefined);
  write(0, "00eeffc0 02000000 03000000");
  assertEquals(page.cardState, undefined);
  write(0, "00eeffc0 01000000 ffffffff ffffffff");
  assertEquals(page.cardState, undefined);
  assertEquals(page.shutdownReason, "crashed");
});

Deno.test("HostPage.text is bounded, and safe for a terminal", () => {
  const { page, write } = makePage();
  write(20, "ffffffff");
  write(128, "1b5b324a ff41");
  assertEquals(page.text.slice(0, 6), "\u{fffd}[2J\u{fffd}A");
  assertEquals(page.text.length, 1024);
});

Deno.test("HostPage reads the slot rows that the card wrote", () => {
  const { page, write } = makePage();
  write(0x2000, "0f000000 02000000 05000030 01000000 04000000 01000000");
  write(
    0x2000 + 320 + 32,
    "00010100 03000400 00100000 00000000 00200000 00000000 00300000 00000000",
  );
  assertEquals(page.status(1), 15);
  assertEquals(page.resetRequest(1), 2);
  assertEquals(page.features(1), 0x1_3000_0005n);
  assertEquals(page.fault(1), 4);
  assertEquals(page.faultQueue(1), 1);
  const { size, enabled, used_index, available_index } = page.queue(1, 1);
  assertEquals([size, enabled, used_index, available_index], [256, 1, 3, 4]);
  const { descriptor_table, available_ring, used_ring } = page.queue(1, 1);
  assertEquals([descriptor_table, available_ring, used_ring], [0x1000, 0x2000, 0x3000]);
  page.clear();
  assertEquals(page.status(1), 0);
});
