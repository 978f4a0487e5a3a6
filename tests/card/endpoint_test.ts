import { assertEquals, assertThrows } from "@std/assert";
import { MESSAGE, page, UnsupportedRequest } from "../../protocol/mod.ts";
import { ArrayMemory } from "../support/array_memory.ts";
import { APERTURE, BLOCK, EndpointHost, MIB, PORTS } from "../support/endpoint_host.ts";

/** A card of 3 MiB: memory ends before the card page begins, at 4 MiB. */
function card(): { host: EndpointHost; memory: ArrayMemory } {
  const host = new EndpointHost(3 * MIB);
  const memory = new ArrayMemory(3 * MIB);
  host.endpoint.attach(memory);
  host.setUp();
  return { host, memory };
}

const refuses = (act: () => unknown): void => void assertThrows(act, UnsupportedRequest);

Deno.test("memoryWrite() puts bytes into card memory and announces them", () => {
  const { host, memory } = card();
  host.endpoint.memoryWrite(APERTURE + 0x1000, Uint8Array.of(1, 2, 3));
  assertEquals([...memory.bytes().subarray(0xfff, 0x1004)], [0, 1, 2, 3, 0]);
  assertEquals(memory.announced, [[0x1000, 0x1003]]);
});

Deno.test("memoryRead() fills from card memory, up to its last byte", () => {
  const { host, memory } = card();
  memory.bytes().set([7, 8], 3 * MIB - 2);
  const into = new Uint8Array(2);
  host.endpoint.memoryRead(APERTURE + 3 * MIB - 2, into);
  assertEquals([...into], [7, 8]);
});

Deno.test("an access across the end of card memory is refused as a whole", () => {
  const { host, memory } = card();
  const end = APERTURE + 3 * MIB;
  for (const [address, length] of [[end - 1, 2], [end, 1], [APERTURE - 1, 2]] as const) {
    refuses(() => host.endpoint.memoryWrite(address, new Uint8Array(length).fill(9)));
    refuses(() => host.endpoint.memoryRead(address, new Uint8Array(length)));
  }
  assertEquals(memory.announced, []);
  assertEquals(memory.bytes().includes(9), false);
});

Deno.test("an access of no bytes is nothing, within card memory or card page", () => {
  const { host, memory } = card();
  for (const at of [0, 3 * MIB, 4 * MIB]) {
    host.endpoint.memoryWrite(APERTURE + at, new Uint8Array(0));
    host.endpoint.memoryRead(APERTURE + at, new Uint8Array(0));
  }
  assertEquals(memory.announced, []);
});

Deno.test("the card page lies at the next power of two, and is not card memory", () => {
  const { host, memory } = card();
  assertEquals(host.readRegister("card_page_offset"), 4 * MIB);
  assertEquals(host.readRegister("card_page_size"), page.PAGE_SIZE);
  const at = APERTURE + 4 * MIB;
  host.endpoint.memoryWrite(at, Uint8Array.of(5));
  host.endpoint.memoryWrite(at + page.PAGE_SIZE - 1, Uint8Array.of(6));
  assertEquals([host.endpoint.cardPage[0], host.endpoint.cardPage.at(-1)], [5, 6]);
  assertEquals(memory.announced, []);
  refuses(() => host.endpoint.memoryWrite(at - 1, Uint8Array.of(1, 1)));
  refuses(() => host.endpoint.memoryWrite(at + page.PAGE_SIZE - 1, Uint8Array.of(1, 1)));
  const into = new Uint8Array(1);
  host.endpoint.memoryRead(at, into);
  assertEquals([...into], [5]);
});

Deno.test("the card page of a card whose memory is a power of two follows it at once", () => {
  assertEquals(new EndpointHost(4 * MIB).endpoint.cardPageOffset, 4 * MIB);
});

Deno.test("the aperture is refused while there is no machine, the card page is not", () => {
  const { host } = card();
  host.endpoint.attach(undefined);
  refuses(() => host.endpoint.memoryRead(APERTURE, new Uint8Array(4)));
  refuses(() => host.endpoint.memoryWrite(APERTURE, new Uint8Array(0)));
  host.endpoint.memoryWrite(APERTURE + 4 * MIB, Uint8Array.of(1));
});

Deno.test("memory space is decoded only while command bit 1 is set", () => {
  const { host } = card();
  host.command(0x5);
  refuses(() => host.read32(APERTURE));
  refuses(() => host.read32(APERTURE + 4 * MIB));
  refuses(() => host.readRegister("memory_mib"));
  host.command(0x2);
  assertEquals(host.readRegister("memory_mib"), 3);
});

Deno.test("I/O space is decoded only while command bit 0 is set", () => {
  const { host } = card();
  assertEquals(host.endpoint.ioRead(PORTS, 2), 0);
  host.command(0x6);
  refuses(() => host.endpoint.ioRead(PORTS, 2));
  refuses(() => host.endpoint.ioWrite(PORTS + 8, 4, 0));
});

Deno.test("nothing is posted while command bit 2, bus master, is off", () => {
  const { host } = card();
  host.command(0x3);
  host.requester.postWrite(0x80_0000_0000, Uint8Array.of(1));
  assertEquals(
    host.requester.openWrite([{ address: 0, length: 3 }, { address: 9, length: 2 }]).length,
    5,
  );
  host.endpoint.sendMsi(1);
  assertEquals(host.link.posted, []);
  assertEquals(host.requester.dropped, 2);
  host.command(0x7);
  assertEquals(host.link.interrupts, [1]);
});

Deno.test("in D3hot only configuration space answers, and D0 brings everything back", () => {
  const { host } = card();
  host.endpoint.configWrite(0x44, 2, 0x3);
  refuses(() => host.read32(APERTURE));
  refuses(() => host.endpoint.ioRead(PORTS, 2));
  assertEquals(host.requester.enabled, false);
  assertEquals(host.endpoint.configRead(0x44, 2), 0xb);
  host.endpoint.configWrite(0x44, 2, 0x0);
  assertEquals(host.readRegister("memory_mib"), 3);
});

Deno.test("a power state that the card does not have is not taken", () => {
  const { host } = card();
  host.endpoint.configWrite(0x44, 2, 0x1);
  assertEquals(host.endpoint.configRead(0x44, 2), 0x8);
});

Deno.test("the aperture moves with BAR 0", () => {
  const { host, memory } = card();
  host.endpoint.configWrite(0x14, 4, 0x20);
  host.endpoint.memoryWrite(0x20_0000_0000, Uint8Array.of(4));
  assertEquals(memory.bytes()[0], 4);
  refuses(() => host.endpoint.memoryWrite(APERTURE, Uint8Array.of(4)));
});

Deno.test("registers are accessed whole: 32 bits, aligned", () => {
  const { host } = card();
  const at = BLOCK + 0x1_ab58;
  const table = BLOCK + 0xc000;
  for (
    const [address, length] of [[at, 2], [at, 8], [at + 2, 4], [at + 1, 1], [table + 2, 4]] as const
  ) {
    refuses(() => host.endpoint.memoryRead(address, new Uint8Array(length)));
    refuses(() => host.endpoint.memoryWrite(address, new Uint8Array(length)));
  }
});

Deno.test("doorbells are delivered in order, where they stand among the writes", () => {
  const { host, memory } = card();
  const rung: [number, number, number][] = [];
  host.endpoint.listen({
    doorbell: (number, value) => rung.push([number, value, memory.bytes()[0]!]),
    boot() {},
    adopt() {},
    reset() {},
  });
  host.endpoint.memoryWrite(APERTURE, Uint8Array.of(1));
  host.write32(BLOCK + 0x8000 + 4 * 3, 2);
  host.endpoint.memoryWrite(APERTURE, Uint8Array.of(2));
  host.write32(BLOCK + 0x8000, 0xffff_ffff);
  host.write32(BLOCK + 0x8000 + 4 * 63, 0);
  assertEquals(rung, [[3, 2, 1], [0, 0xffff_ffff, 2], [63, 0, 2]]);
  refuses(() => host.write32(BLOCK + 0x8000 + 4 * 64, 0));
});

Deno.test("the I/O BAR shows the POST code, and the registers through index and data", () => {
  const { host } = card();
  host.endpoint.registers.postCode = 0x3231;
  assertEquals(host.endpoint.ioRead(PORTS, 2), 0x3231);
  host.endpoint.ioWrite(PORTS + 8, 4, 0x1_ab5b);
  host.endpoint.ioWrite(PORTS + 12, 4, 0x1234_5678);
  assertEquals(host.endpoint.ioRead(PORTS + 8, 4), 0x1_ab58);
  assertEquals(host.endpoint.ioRead(PORTS + 12, 4), 0x1234_5678);
  assertEquals(host.readRegister("host_page_low"), 0x1234_5678);
  for (const [port, width] of [[PORTS, 1], [PORTS, 4], [PORTS + 4, 4], [PORTS + 9, 1]] as const) {
    refuses(() => host.endpoint.ioRead(port, width));
    refuses(() => host.endpoint.ioWrite(port, width, 0));
  }
  refuses(() => host.endpoint.ioWrite(PORTS, 2, 0));
});

Deno.test("message() acknowledges PME_Turn_Off, counts errors and refuses the rest", () => {
  const { host } = card();
  host.endpoint.message(MESSAGE.power, 0x19);
  assertEquals(host.link.messages(MESSAGE.power), [[0x1b, 0]]);
  host.endpoint.message(MESSAGE.error, 0x31);
  assertEquals(host.endpoint.hostErrors, 1);
  refuses(() => host.endpoint.message(MESSAGE.msi, 1));
});

Deno.test("fundamentalReset() forgets BARs, registers and card page, and keeps memory", () => {
  const { host, memory } = card();
  host.writeRegister("host_page_low", 0x1000);
  host.endpoint.memoryWrite(APERTURE + 4 * MIB, Uint8Array.of(1));
  host.endpoint.memoryWrite(APERTURE, Uint8Array.of(1));
  host.endpoint.fundamentalReset();
  assertEquals(host.endpoint.configRead(0x04, 2), 0);
  refuses(() => host.read32(APERTURE));
  host.setUp();
  assertEquals(host.readRegister("host_page_low"), 0);
  assertEquals(host.endpoint.cardPage[0], 0);
  assertEquals(memory.bytes()[0], 1);
});

Deno.test("attach() throws RangeError for memory of another size", () => {
  assertThrows(() => card().host.endpoint.attach(new ArrayMemory(MIB)), RangeError);
});

Deno.test("Endpoint throws RangeError for sizes that no BAR can show", () => {
  for (const bytes of [0, 4096, MIB + 1, 4096 * MIB]) {
    assertThrows(() => new EndpointHost(bytes), RangeError);
  }
});
