import { assertEquals, assertThrows } from "@std/assert";
import { CardPage } from "../../host/driver/card_page.ts";
import { probe } from "../../host/driver/probe.ts";
import { RootPort } from "../../host/driver/root_port.ts";
import { FakeCard } from "../support/fake_card.ts";

async function makePage() {
  const card = new FakeCard(new RootPort());
  const { registers, windows } = await probe(card.requester);
  return { card, page: new CardPage(registers, windows.aperture.address + card.pageOffset) };
}

const hex = (bytes: Uint8Array) => bytes.toHex().replaceAll(/(.{8})(?=.)/g, "$1 ");

Deno.test("CardPage.writeHeader() writes the boot header, its magic last, then the digests", async () => {
  const { card, page } = await makePage();
  const digests = new Uint8Array(96).fill(0xd1);
  page.writeHeader(
    {
      kernel: { address: 0x100_0000, length: 0x1234 },
      cmdline: { address: 0x100_2000, length: 12 },
      initrd: { address: 0x7f0_0000, length: 0x5678 },
    },
    digests,
    1_700_000_000_250,
    1,
  );
  await card.settle();
  assertEquals(
    hex(card.page.slice(0, 64)),
    "00eeffc0 01001f00 00000001 00000000 34120000 0c000000 00200001 00000000 " +
      "0000f007 00000000 78560000 00000000 00f15365 00000000 80b2e60e 01000000",
  );
  assertEquals(card.page.slice(64, 128), new Uint8Array(64));
  assertEquals(card.page.slice(128, 224), digests);
  assertEquals(card.writes.map((w) => w.bytes.length), [220, 4]);
  assertEquals(hex(card.writes[1]!.bytes), "00eeffc0");
});

Deno.test("CardPage.writeSlot() writes device, configuration and queues, the type last", async () => {
  const { card, page } = await makePage();
  page.writeSlot(1, {
    type: 2,
    features: 0x1_3000_0005n,
    config: Uint8Array.of(0xaa, 0xbb, 0xcc),
    configGeneration: 7,
    resetDone: 9,
    queues: [
      { sizeMax: 0, mirrorAddress: 0, stagingAddress: 0, stagingLength: 0, pushLimit: 0 },
      {
        sizeMax: 256,
        mirrorAddress: 0x80_0002_1000,
        stagingAddress: 0x80_0002_3000,
        stagingLength: 0x1_0000,
        pushLimit: 0x2000,
      },
    ],
  });
  await card.settle();
  const slot = card.page.slice(0x2000, 0x3000);
  assertEquals(
    hex(slot.slice(0, 32)),
    "02000200 03000000 05000030 01000000 07000000 09000000 00000000 00000000",
  );
  assertEquals(hex(slot.slice(64, 68)), "aabbcc00");
  assertEquals(slot.slice(320, 352), new Uint8Array(32));
  assertEquals(
    hex(slot.slice(352, 384)),
    "00010000 00000100 00100200 80000000 00300200 80000000 00200000 00000000",
  );
  assertEquals(card.writes.map((w) => w.bytes.length), [382, 2]);
});

Deno.test("CardPage.writeConfig() writes bytes and generation in one write, then rings", async () => {
  const { card, page } = await makePage();
  page.writeConfig(0, Uint8Array.of(1, 2), 3);
  await card.settle();
  assertEquals(hex(card.page.slice(0x1000 + 64, 0x1000 + 68)), "01020000");
  assertEquals(hex(card.page.slice(0x1000 + 16, 0x1000 + 20)), "03000000");
  assertEquals(card.doorbells, [[1, 0xffff]]);
});

Deno.test("CardPage.writeResetDone() makes queues new and the device whole, before it says so", async () => {
  const { card, page } = await makePage();
  card.page.fill(0xff, 0x1000, 0x2000);
  page.writeResetDone(0, 2, 5);
  await card.settle();
  assertEquals(hex(card.page.slice(0x1000 + 20, 0x1000 + 28)), "05000000 00000000");
  assertEquals(hex(card.page.slice(0x1000 + 320, 0x1000 + 324)), "ffff0000");
  assertEquals(hex(card.page.slice(0x1000 + 352, 0x1000 + 356)), "ffff0000");
  assertEquals(card.writes.at(-2)!.bytes, Uint8Array.of(5, 0, 0, 0));
  assertEquals(card.doorbells, [[1, 0xffff]]);
});

Deno.test("CardPage.writeAdoption() writes the clock and the first request for serial output, nothing else", async () => {
  const { card, page } = await makePage();
  card.page.fill(0xff, 0, 128);
  page.writeAdoption(1_700_000_000_250, 1);
  await card.settle();
  assertEquals(
    hex(card.page.slice(44, 68)),
    "ffffffff 00f15365 00000000 80b2e60e 01000000 ffffffff",
  );
  assertEquals(card.doorbells, []);
});

Deno.test("CardPage.requestSerial() writes its field, then rings the card", async () => {
  const { card, page } = await makePage();
  page.requestSerial(0x0403_0201);
  await card.settle();
  assertEquals(hex(card.page.slice(56, 68)), "00000000 01020304 00000000");
  assertEquals(card.doorbells, [[0, 0]]);
  const [field, bell] = card.writes.slice(-2);
  assertEquals([field!.bytes, bell!.bytes], [Uint8Array.of(1, 2, 3, 4), new Uint8Array(4)]);
});

Deno.test("CardPage.writeNeedsReset() and requestShutdown() write their field and ring", async () => {
  const { card, page } = await makePage();
  page.writeNeedsReset(30, 12);
  page.requestShutdown(2);
  await card.settle();
  assertEquals(hex(card.page.slice(31 * 4096 + 24, 31 * 4096 + 28)), "0c000000");
  assertEquals(hex(card.page.slice(44, 48)), "02000000");
  assertEquals(card.doorbells, [[31, 0xffff], [0, 0]]);
});

Deno.test("CardPage.clearSlots() empties every slot", async () => {
  const { card, page } = await makePage();
  card.page.fill(0xff);
  page.clearSlots();
  await card.settle();
  for (let slot = 0; slot < 31; slot++) {
    assertEquals(hex(card.page.slice((slot + 1) * 4096, (slot + 1) * 4096 + 4)), "0000ffff");
  }
  assertEquals(hex(card.page.slice(0, 4)), "ffffffff");
});

Deno.test("CardPage.writeSlot() refuses what does not fit", async () => {
  const { page } = await makePage();
  const offer = { type: 1, features: 0n, configGeneration: 0, resetDone: 0, queues: [] };
  const config = new Uint8Array(257);
  assertThrows(() => page.writeSlot(0, { ...offer, config }), RangeError, "257 bytes");
  const empty = new Uint8Array(0);
  assertThrows(() => page.writeSlot(31, { ...offer, config: empty }), RangeError, "slot 31");
});
