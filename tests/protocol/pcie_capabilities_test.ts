import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ProtocolError } from "../../protocol/errors.ts";
import { capabilities } from "../../protocol/pcie/capabilities.ts";

/** Configuration space with a capabilities list: status bit 4, pointer, and bytes at offsets. */
function config(pointer: number, entries: Record<number, readonly [number, number]>): Uint8Array {
  const bytes = new Uint8Array(256);
  bytes[0x06] = 0x10;
  bytes[0x34] = pointer;
  for (const [at, [id, next]] of Object.entries(entries)) bytes.set([id, next], Number(at));
  return bytes;
}

Deno.test("capabilities() lists numbers and offsets in list order", () => {
  assertEquals(capabilities(config(0x50, { 0x50: [0x05, 0x40], 0x40: [0x01, 0] })), [
    { id: 0x05, at: 0x50 },
    { id: 0x01, at: 0x40 },
  ]);
});

Deno.test("capabilities() is empty when the status register says there is no list", () => {
  const bytes = config(0x40, { 0x40: [0x01, 0] });
  bytes[0x06] = 0;
  assertEquals(capabilities(bytes), []);
});

Deno.test("capabilities() ignores the two low bits of a pointer", () => {
  assertEquals(capabilities(config(0x43, { 0x40: [0x01, 0x03] })), [{ id: 1, at: 0x40 }]);
});

Deno.test("capabilities() throws when the list is a loop or leads into the header", () => {
  assertThrows(() => capabilities(config(0x40, { 0x40: [1, 0x40] })), ProtocolError, "walk");
  assertThrows(() => capabilities(config(0x40, { 0x40: [1, 0x10] })), ProtocolError, "walk");
  assertThrows(() => capabilities(config(0x3c, {})), ProtocolError, "walk");
});

Deno.test("capabilities() ends on any bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 256, maxLength: 256 }), (bytes) => {
    try {
      for (const { at } of capabilities(bytes)) assertEquals(at >= 0x40 && at < 0x100, true);
    } catch (error) {
      assertEquals(error instanceof ProtocolError, true);
    }
  }));
});
