import { assertEquals, assertRejects } from "@std/assert";
import { ByteReader } from "../../host/backends/nbd/byte_reader.ts";
import { LinkError } from "../../protocol/mod.ts";

/** Gives `bytes`, at most `piece` at once, then the end. */
function source(bytes: Uint8Array, piece: number) {
  let at = 0;
  return {
    read(into: Uint8Array): Promise<number | null> {
      if (at === bytes.length) return Promise.resolve(null);
      const count = Math.min(piece, into.length, bytes.length - at);
      into.set(bytes.subarray(at, at + count));
      at += count;
      return Promise.resolve(count);
    },
  };
}

/** No period that a buffer's size could hide. */
const BYTES = Uint8Array.from({ length: 700_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);

for (const piece of [7, 4099, 1 << 20]) {
  Deno.test(`ByteReader gives every byte once, in order, from pieces of ${piece}`, async () => {
    const reader = new ByteReader(source(BYTES, piece));
    const got = new Uint8Array(BYTES.length);
    let at = 0;
    for (let length = 1; at < BYTES.length; length = 1 + (length * 5) % 3001) {
      const count = Math.min(length, BYTES.length - at);
      if (length % 2 === 0) {
        await reader.pass(count, (bytes, done) => got.set(bytes, at + done));
      } else {
        await reader.need(count);
        const from = reader.take(count);
        for (let i = 0; i < count; i++) got[at + i] = reader.view.getUint8(from + i);
      }
      at += count;
    }
    assertEquals(got.every((byte, i) => byte === BYTES[i]), true);
    await assertRejects(() => reader.need(1), LinkError, "the server closed the connection");
  });
}

Deno.test("ByteReader gives nothing that comes after stop()", async () => {
  const reader = new ByteReader(source(BYTES, 10));
  const reading = reader.pass(20, (_bytes, done) => assertEquals(done, 0));
  reader.stop();
  await assertRejects(() => reading, LinkError, "connection closed on this side");
});
