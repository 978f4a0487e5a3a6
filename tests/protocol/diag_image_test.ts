import { assertEquals } from "@std/assert";
import { decodeDiagImage, encodeDiagImage } from "../../protocol/diag_image.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("encodeDiagImage() is the magic and the options", () => {
  assertEquals(encodeDiagImage("ip=dhcp").toHex(), "4b4244494147310a" + "69703d64686370");
});

Deno.test("decodeDiagImage() gives the options back", () => {
  assertEquals(decodeDiagImage(bytes("KBDIAG1\n")), "");
  assertEquals(decodeDiagImage(bytes("KBDIAG1\na=1 b")), "a=1 b");
});

Deno.test("decodeDiagImage() is undefined for what is no image", () => {
  for (const text of ["", "KBDIAG1", "KBDIAG2\n", " KBDIAG1\n", "\x7fELF\x01\x01\x01\0"]) {
    assertEquals(decodeDiagImage(bytes(text)), undefined);
  }
  assertEquals(decodeDiagImage(bytes("KBDIAG1\n" + "x".repeat(65_529))), undefined, "too long");
});
