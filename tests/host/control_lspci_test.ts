// Configuration space for people: the default card by hand, and bytes that no card has.
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { lspci } from "../../host/control/lspci.ts";
import { ApiRig } from "../support/api_rig.ts";

/** The default card after a probe, as `lspci -vv` would name its fields. */
const DEFAULT_CARD =
  `Co-processor [0b40]: Intel Corporation MIC X100 family [8086:225c] (rev 11, stepping B1)
	Subsystem: 8086:2500
	Control: I/O+ Mem+ BusMaster+ ParErr- SERR- DisINTx-
	Status: Cap+ INTx-
`;

Deno.test("lspci() of a probed card", async () => {
  await using rig = await ApiRig.start({ autoboot: false });
  rig.bench.startCard();
  await rig.call("GET", "/v1/cards/mic0/wait?state=ready");
  const { text } = (await rig.call("GET", "/v1/cards/mic0/lspci")).body;
  assertEquals(text.slice(0, DEFAULT_CARD.length), DEFAULT_CARD);
  for (
    const line of [
      "\tRegion 2: I/O ports at ",
      "(32-bit, non-prefetchable) [size=128K]",
      "\tCapabilities: [40] Power Management version 3\n\t\tStatus: D0 NoSoftRst+",
      "\tCapabilities: [50] MSI: Enable+ Count=32/32 Maskable+ 64bit+",
      "\tCapabilities: [70] MSI-X: Enable- Count=32 Masked-\n" +
      "\t\tVector table: BAR=4 offset=0000c000\n\t\tPBA: BAR=4 offset=0000d000",
      "\tCapabilities: [80] Express (v2) Endpoint\n\t\tDevCap: MaxPayload 256 bytes",
      "\t\tLnkSta: Speed 5GT/s, Width x16",
    ]
  ) assertStringIncludes(text, line);
});

Deno.test("lspci() ends, and says something, whatever the card answers", () => {
  const info = { bars: [], stepping: "B1" };
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 256, maxLength: 256 }), (config) => {
      config[6] = config[6]! | 0x10;
      assert(lspci(config, info).split("\n").length > 4);
    }),
    { seed: 4 },
  );
  // A capability that begins where the space ends.
  for (const id of [0x01, 0x05, 0x10, 0x11, 0xee]) {
    const config = new Uint8Array(256);
    config[0x06] = 0x10;
    config[0x34] = 0xfc;
    config[0xfc] = id;
    assertStringIncludes(lspci(config, info), "\tCapabilities: [fc] ");
  }
  assertThrows(() => lspci(new Uint8Array(64), info), RangeError);
});
