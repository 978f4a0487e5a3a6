import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import {
  ADDRESS_FORM,
  cardParameters,
  defaultAddress,
  fixedAddress,
  parseAddress,
  stableMac,
} from "../../host/control/addresses.ts";

Deno.test("parseAddress() reads dhcp, and an address with or without its host", () => {
  assertEquals(parseAddress("dhcp"), "dhcp");
  assertEquals(parseAddress("10.0.0.2/8"), { card: "10.0.0.2", prefix: 8, host: undefined });
  assertEquals(parseAddress("172.31.1.1/24,172.31.1.254"), defaultAddress("tap", 0));
});

Deno.test("parseAddress() refuses what is no address, and shows the form", () => {
  for (
    const text of [
      "",
      "10.0.0.2",
      "10.0.0.256/8",
      "10.0.0/8",
      "10.0.0.2/33",
      "10.0.0.2/8,",
      "10.0.0.2/8,10.0.0.999",
      "10.0.0.2/8 init=/bin/sh",
      "DHCP",
    ]
  ) {
    assertThrows(
      () => parseAddress(text),
      RangeError,
      `Cannot use address "${text}": wanted ${ADDRESS_FORM}`,
    );
  }
});

Deno.test("fixedAddress() writes what parseAddress() reads", () => {
  for (const text of ["10.0.0.2/8", "172.31.1.1/24,172.31.1.254"]) {
    const address = parseAddress(text);
    assertEquals(address !== "dhcp" && fixedAddress(address), text);
  }
});

Deno.test("cardParameters() tells the card its name, and its network where it has one", () => {
  assertEquals(cardParameters("mic0", undefined), "knightsbridge.name=mic0");
  assertEquals(cardParameters("a", "dhcp"), "knightsbridge.name=a knightsbridge.net=dhcp");
  assertEquals(
    cardParameters("a", defaultAddress("tap", 0)),
    "knightsbridge.name=a knightsbridge.net=172.31.1.1/24,172.31.1.254",
  );
});

Deno.test("stableMac() is the same for the same machine and card, and local unicast", () => {
  const mac = stableMac("machine", "mic0");
  assertEquals(mac, stableMac("machine", "mic0"));
  assertNotEquals(mac, stableMac("machine", "mic1"));
  assertNotEquals(mac, stableMac("other", "mic0"));
  assertEquals([mac.length, mac[0]! & 3], [6, 2]);
});

Deno.test("defaultAddress() is the original's behind a TAP, and one network on a hub", () => {
  assertEquals(fixedAddress(fixed("tap", 0)), "172.31.1.1/24,172.31.1.254");
  assertEquals(fixedAddress(fixed("tap", 7)), "172.31.8.1/24,172.31.8.254");
  assertEquals(fixedAddress(fixed("hub", 7)), "172.31.0.8/24");
  const uplink = { address: "10.1.2.254", prefix: 16 };
  assertEquals(fixedAddress(fixed("hub", 1, uplink)), "10.1.2.2/16,10.1.2.254");
  assertEquals(defaultAddress("passt", 3), "dhcp");
  assertThrows(() => defaultAddress("tap", 253), RangeError, "wanted 0 to 252");

  function fixed(...args: Parameters<typeof defaultAddress>) {
    const address = defaultAddress(...args);
    if (address === "dhcp") throw new TypeError("no fixed address");
    return address;
  }
});
