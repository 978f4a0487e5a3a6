import { assertEquals, assertRejects } from "@std/assert";
import { platformName } from "../../host/driver/card_info.ts";
import { probe } from "../../host/driver/probe.ts";
import { RootPort } from "../../host/driver/root_port.ts";
import { le16, le32, ProtocolError, viewOf } from "../../protocol/mod.ts";
import { FakeCard, type FakeCardOptions } from "../support/fake_card.ts";

const makeCard = (options?: FakeCardOptions) => new FakeCard(new RootPort(), options);

Deno.test("probe() finds the card, places its BARs and enables memory, I/O, bus master and MSI", async () => {
  const card = makeCard({ memoryMib: 128 });
  const { info, windows } = await probe(card.requester);
  assertEquals(info, {
    vendorId: 0x8086,
    deviceId: 0x225c,
    subsystemVendorId: 0x8086,
    subsystemId: 0x2500,
    revision: 0x11,
    stepping: "B1",
    classCode: 0x0b4000,
    bars: [
      {
        index: 0,
        kind: "memory64",
        prefetchable: true,
        size: 256 * 2 ** 20,
        address: 0x40_0000_0000,
      },
      { index: 2, kind: "io", prefetchable: false, size: 64, address: 0x1000 },
      { index: 4, kind: "memory32", prefetchable: false, size: 128 * 1024, address: 0xe000_0000 },
    ],
    capabilities: [{ id: 5, at: 0x50, name: "msi" }],
    vectors: 32,
    memoryMib: 128,
  });
  assertEquals(windows.aperture, { address: 0x40_0000_0000, size: 256 * 2 ** 20 });
  assertEquals(windows.registers, { address: 0xe000_0000, size: 128 * 1024 });
  const config = viewOf(card.config);
  assertEquals(le16.get(config, 0x04), 0x0007);
  assertEquals(le32.get(config, 0x10), 0x0000_000c);
  assertEquals(le32.get(config, 0x14), 0x0000_0040);
  assertEquals(le32.get(config, 0x18), 0x0000_1001);
  assertEquals(le32.get(config, 0x20), 0xe000_0000);
  assertEquals(le16.get(config, 0x52), 0x01db);
  assertEquals(le32.get(config, 0x54), 0xfee0_0000);
  assertEquals(le32.get(config, 0x60), 0);
});

Deno.test("probe() sizes BARs while decoding is off, and turns it on when they are placed", async () => {
  const card = makeCard();
  await probe(card.requester);
  const header = card.configWrites.filter(([at]) => at < 0x40);
  assertEquals(header, [
    [0x04, 0],
    ...[0x10, 0x14, 0x18, 0x1c, 0x20, 0x24].map((at): [number, number] => [at, 0xffff_ffff]),
    [0x10, 0x0000_000c],
    [0x14, 0x0000_0040],
    [0x18, 0x0000_1001],
    [0x20, 0xe000_0000],
    [0x04, 7],
  ]);
});

const REFUSALS: readonly (readonly [string, (card: FakeCard) => void, string])[] = [
  ["another vendor", (card) => card.config.set([0xf4, 0x1a], 0), "found PCI device 1af4:225c"],
  ["another device", (card) => card.config.set([0x5f], 2), "found PCI device 8086:225f"],
  ["an absent card", (card) => card.config.fill(0xff), "found PCI device ffff:ffff"],
  ["a bridge", (card) => card.config.set([0x81], 0x0e), "found header type 1, wanted 0"],
  ["no MSI", (card) => card.config.set([0], 0x06), "no MSI capability"],
  ["too few vectors", (card) => card.config.set([0x84], 0x52), "found MSI control 0184"],
  ["MSI that leaves configuration space", (card) => {
    card.config[0x34] = 0xfc;
    card.config.set([5, 0], 0xfc);
  }, "no MSI capability"],
  ["a 32-bit aperture", (card) => card.config.set([0x08], 0x10), "Cannot use BAR 0"],
  ["no memory", (card) => le32.set(card.registerView, 0x1ab2c, 0), "it says 0 MiB"],
  ["more memory than aperture", (card) => le32.set(card.registerView, 0x1ab2c, 9), "it says 9 MiB"],
];
for (const [what, spoil, text] of REFUSALS) {
  Deno.test(`probe() refuses ${what}`, async () => {
    const card = makeCard();
    spoil(card);
    await assertRejects(() => probe(card.requester), ProtocolError, text);
  });
}

Deno.test("probe() ends with the signal's reason when it is cancelled", async () => {
  const reason = new Error("enough");
  await assertRejects(
    () => probe(makeCard().requester, AbortSignal.abort(reason)),
    Error,
    "enough",
  );
});

Deno.test("probe() names what people ask for, numbers where there is no name", async () => {
  const { info } = await probe(makeCard({ memoryMib: 128 }).requester);
  assertEquals([info.stepping, info.memoryMib, info.classCode], ["B1", 128, 0x0b4000]);
  assertEquals(info.capabilities.map(({ name }) => name), ["msi"]);
  assertEquals([platformName(2), platformName(0x77)], ["diag", "platform 0x77"]);
});
