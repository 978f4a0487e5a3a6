import { assertEquals, assertThrows } from "@std/assert";
import { RegisterBlock } from "../../card/endpoint/register_block.ts";
import { BOOT_SIGNAL, MESSAGE, REGISTERS, UnsupportedRequest } from "../../protocol/mod.ts";
import { BLOCK, EndpointHost } from "../support/endpoint_host.ts";

function card(): EndpointHost {
  const host = new EndpointHost();
  host.setUp();
  return host;
}

for (const [name, { at, access }] of Object.entries(REGISTERS)) {
  Deno.test(`register ${name} is ${access}: reads and writes as the table says`, () => {
    const host = card();
    host.read32(BLOCK + at);
    if (access === "wo") assertEquals(host.read32(BLOCK + at), 0);
    if (access === "ro") {
      assertThrows(() => host.write32(BLOCK + at, 0), UnsupportedRequest, name);
    } else {
      host.write32(BLOCK + at, 0);
    }
  });
}

Deno.test("an offset without a register is refused, reading and writing", () => {
  const host = card();
  for (const offset of [0, 0x2428, 0xc200, 0xd008, 0x1_4014, 0x1_fffc]) {
    assertThrows(() => host.read32(BLOCK + offset), UnsupportedRequest);
    assertThrows(() => host.write32(BLOCK + offset, 0), UnsupportedRequest);
  }
});

Deno.test("pending bits of MSI-X are read-only", () => {
  assertThrows(() => card().write32(BLOCK + 0xd000, 1), UnsupportedRequest);
});

Deno.test("the boot register acts on the boot signal alone", () => {
  const host = card();
  let boots = 0;
  host.endpoint.listen({ doorbell() {}, boot: () => boots++, adopt() {}, reset() {} });
  host.writeRegister("boot", 229);
  assertEquals(boots, 0);
  host.writeRegister("boot", BOOT_SIGNAL);
  assertEquals(boots, 1);
});

Deno.test("the reset register acts on bit 0 alone, and reads 1 while resetting", () => {
  const host = card();
  let resets = 0;
  host.endpoint.listen({ doorbell() {}, boot() {}, adopt() {}, reset: () => resets++ });
  host.writeRegister("reset", 0xffff_fffe);
  assertEquals([resets, host.readRegister("reset")], [0, 0]);
  host.writeRegister("reset", 1);
  host.endpoint.registers.resetting = true;
  assertEquals([resets, host.readRegister("reset")], [1, 1]);
});

Deno.test("setDownload() shows load address and ready bit, or 0", () => {
  const host = card();
  host.endpoint.registers.setDownload(0x8010_0000);
  assertEquals(host.readRegister("download_info"), 0x8010_0001);
  host.endpoint.registers.setDownload(undefined);
  assertEquals(host.readRegister("download_info"), 0);
});

Deno.test("hostPage joins both scratchpads", () => {
  const host = card();
  host.writeRegister("host_page_low", 0x8000_1000);
  host.writeRegister("host_page_high", 0x80);
  assertEquals(host.endpoint.registers.hostPage, 0x80_8000_1000);
});

Deno.test("postCode tells the host of each change, and of the latest once the link takes more", () => {
  const host = card();
  const { registers } = host.endpoint;
  registers.postCode = 0x3130;
  registers.postCode = 0x3130;
  registers.postCode = 0x3230;
  host.link.writable = false;
  registers.postCode = 0x3330;
  registers.postCode = 0x3530;
  assertEquals(host.link.messages(MESSAGE.post_code), [[0x3130, 0], [0x3230, 0]]);
  assertEquals(host.readRegister("post_code"), 0x3530);
  host.link.writable = true;
  assertEquals(host.link.messages(MESSAGE.post_code).slice(2), [[0x3530, 0]]);
});

Deno.test("RegisterBlock names the register in what it refuses", () => {
  const block = new RegisterBlock({ serial: { at: 8, access: "ro" } }, {
    serial: { read: () => 7 },
  });
  assertEquals(block.read(8), 7);
  assertThrows(() => block.write(8, 1), UnsupportedRequest, "serial");
});
