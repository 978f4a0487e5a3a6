import { assertEquals } from "@std/assert";
import { BLOCK, EndpointHost } from "../support/endpoint_host.ts";

/** Offsets typed from endpoint/function.ts and PCI Local Bus 3.0 §6.8. */
const MSI_CONTROL = 0x52;
const MSI_MASK = 0x60;
const MSI_PENDING = 0x64;
const MSIX_CONTROL = 0x72;
const TABLE = BLOCK + 0xc000;
const PENDING = BLOCK + 0xd000;

function card(): EndpointHost {
  const host = new EndpointHost();
  host.setUp();
  return host;
}

Deno.test("sendMsi() sends the vector at once when nothing stops it", () => {
  const host = card();
  for (const vector of [0, 5, 31]) host.endpoint.sendMsi(vector);
  assertEquals(host.link.interrupts, [0, 5, 31]);
  assertEquals(host.readRegister("interrupt_cause"), 0);
});

Deno.test("sendMsi() keeps the cause until MSI is enabled, and sends it once then", () => {
  const host = card();
  host.endpoint.configWrite(MSI_CONTROL, 2, 0x0050);
  host.endpoint.sendMsi(4);
  host.endpoint.sendMsi(4);
  assertEquals(host.link.interrupts, []);
  assertEquals(host.readRegister("interrupt_cause"), 1 << 4);
  host.endpoint.configWrite(MSI_CONTROL, 2, 0x0051);
  assertEquals(host.link.interrupts, [4]);
  assertEquals(host.readRegister("interrupt_cause"), 0);
});

Deno.test("sendMsi() waits for the source's bit in the interrupt enable register", () => {
  const host = card();
  host.writeRegister("interrupt_disable", 1 << 6);
  assertEquals(host.readRegister("interrupt_enable"), 0xffff_ffbf);
  host.endpoint.sendMsi(6);
  host.endpoint.sendMsi(7);
  assertEquals(host.link.interrupts, [7]);
  assertEquals(host.endpoint.configRead(MSI_PENDING, 4), 0);
  host.writeRegister("interrupt_enable", 1 << 6);
  assertEquals(host.link.interrupts, [7, 6]);
});

Deno.test("a cause that the host wrote back is not sent any more", () => {
  const host = card();
  host.writeRegister("interrupt_disable", 0xffff_ffff);
  host.endpoint.sendMsi(2);
  host.endpoint.sendMsi(31);
  assertEquals(host.readRegister("interrupt_cause"), 0x8000_0004);
  host.writeRegister("interrupt_cause", 0x4);
  assertEquals(host.readRegister("interrupt_cause"), 0x8000_0000);
  host.writeRegister("interrupt_enable", 0xffff_ffff);
  assertEquals(host.link.interrupts, [31]);
});

Deno.test("a masked MSI vector is pending, and is sent when the mask goes", () => {
  const host = card();
  host.endpoint.configWrite(MSI_MASK, 4, 0x8000_0008);
  for (const vector of [3, 31, 4]) host.endpoint.sendMsi(vector);
  assertEquals(host.link.interrupts, [4]);
  assertEquals(host.endpoint.configRead(MSI_PENDING, 4), 0x8000_0008);
  host.endpoint.configWrite(MSI_MASK, 4, 0x8000_0000);
  assertEquals(host.link.interrupts, [4, 3]);
  assertEquals(host.endpoint.configRead(MSI_PENDING, 4), 0x8000_0000);
  host.endpoint.configWrite(MSI_MASK, 4, 0);
  assertEquals(host.link.interrupts, [4, 3, 31]);
  assertEquals(host.endpoint.configRead(MSI_PENDING, 4), 0);
});

Deno.test("with fewer vectors than sources the vectors are shared and the cause says which", () => {
  const host = card();
  host.endpoint.configWrite(MSI_CONTROL, 2, 0x0021);
  for (const source of [1, 6, 5]) host.endpoint.sendMsi(source);
  assertEquals(host.link.interrupts, [1, 2, 1]);
  assertEquals(host.readRegister("interrupt_cause"), 0b110_0010);
  host.writeRegister("interrupt_cause", 0b110_0010);
  assertEquals(host.readRegister("interrupt_cause"), 0);
});

Deno.test("MSI-X entries are masked after power on, and pending bits say what waits", () => {
  const host = card();
  host.endpoint.configWrite(MSIX_CONTROL, 2, 0x8000);
  assertEquals(host.read32(TABLE + 12), 1);
  host.endpoint.sendMsi(3);
  assertEquals(host.link.interrupts, []);
  assertEquals([host.read32(PENDING), host.read32(PENDING + 4)], [1 << 3, 0]);
  assertEquals(host.endpoint.configRead(MSI_PENDING, 4), 0);
  host.write32(TABLE + 3 * 16 + 12, 0);
  assertEquals(host.link.interrupts, [3]);
  assertEquals(host.read32(PENDING), 0);
  host.endpoint.sendMsi(3);
  assertEquals(host.link.interrupts, [3, 3]);
});

Deno.test("MSI-X function mask holds every vector", () => {
  const host = card();
  host.write32(TABLE + 12, 0);
  host.endpoint.configWrite(MSIX_CONTROL, 2, 0xc000);
  host.endpoint.sendMsi(0);
  assertEquals([host.link.interrupts, host.read32(PENDING)], [[], 1]);
  host.endpoint.configWrite(MSIX_CONTROL, 2, 0x8000);
  assertEquals(host.link.interrupts, [0]);
});

Deno.test("the MSI-X table keeps address and data, and of vector control the mask alone", () => {
  const host = card();
  const row = TABLE + 31 * 16;
  [0xfee0_0000, 0x1, 0x4041, 0xffff_ffff].forEach((value, i) => host.write32(row + 4 * i, value));
  assertEquals([0, 4, 8, 12].map((at) => host.read32(row + at)), [0xfee0_0000, 0x1, 0x4041, 1]);
});

Deno.test("while the link takes no more a few messages leave, then one of each source when it does", () => {
  const host = card();
  host.link.writable = false;
  for (let i = 0; i < 10_000; i++) host.endpoint.sendMsi(1 + i % 3);
  assertEquals(host.link.interrupts.length, 64);
  assertEquals(host.readRegister("interrupt_cause"), 0b1110);
  host.link.forget();
  host.link.writable = true;
  assertEquals(host.link.interrupts, [1, 2, 3]);
  assertEquals(host.readRegister("interrupt_cause"), 0);
  host.endpoint.sendMsi(9);
  assertEquals(host.link.interrupts, [1, 2, 3, 9]);
});
