import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Scrollback } from "../../host/console/scrollback.ts";

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytesOf = (text: string) => new TextEncoder().encode(text);

Deno.test("Scrollback.tail() is the last bytes written, whatever the pieces, boots and lengths", () => {
  const piece = fc.oneof(
    { weight: 5, arbitrary: fc.string({ maxLength: 40, unit: "grapheme-ascii" }) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
  const lengths = fc.array(fc.nat(80), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.array(piece), lengths, (room, all, asked) => {
      const scrollback = new Scrollback(room);
      let [model, boot] = ["", ""];
      const last = (text: string, count: number) =>
        text.slice(Math.max(0, text.length - Math.min(count, room)));
      for (const piece of all) {
        if (piece === undefined) {
          scrollback.beginBoot();
          boot = "";
        } else {
          scrollback.append(bytesOf(piece));
          [model, boot] = [model + piece, boot + piece];
        }
        for (const count of [...asked, Infinity]) {
          assertEquals(textOf(scrollback.tail(count)), last(model, count));
          assertEquals(textOf(scrollback.bootTail(count)), last(boot, count));
        }
      }
    }),
  );
});

Deno.test("Scrollback keeps a card's first byte as long as there is room for it, and 256 KiB in all", () => {
  const scrollback = new Scrollback();
  scrollback.append(bytesOf("1"));
  scrollback.append(new Uint8Array(256 * 1024 - 1).fill(0x2e));
  assertEquals(textOf(scrollback.tail()).slice(0, 2), "1.");
  scrollback.append(bytesOf("2"));
  assertEquals(scrollback.tail().length, 256 * 1024);
  assertEquals(textOf(scrollback.tail())[0], ".");
});
