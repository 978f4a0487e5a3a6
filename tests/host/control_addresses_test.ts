import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import {
  ADDRESS_FORM,
  cardParameters,
  DEFAULT_ADDRESS,
  fixedAddress,
  parseAddress,
  stableMac,
} from "../../host/control/addresses.ts";

Deno.test("parseAddress() reads dhcp, and an address with or without its host", () => {
  assertEquals(parseAddress("dhcp"), "dhcp");
  assertEquals(parseAddress("10.0.0.2/8"), { card: "10.0.0.2", prefix: 8, host: undefined });
  assertEquals(parseAddress("172.31.1.1/24,172.31.1.254"), DEFAULT_ADDRESS);
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
    cardParameters("a", DEFAULT_ADDRESS),
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
