import { assertEquals } from "@std/assert";
import { advance, ahead, INITIAL_SEQUENCE } from "../../protocol/link/sequence.ts";

Deno.test("advance() wraps after 2^32 - 1", () => {
  assertEquals(advance(0xffff_ffff, 1), 0);
  assertEquals(advance(0xffff_fff0, 0x20), 0x10);
  assertEquals(advance(0x7fff_ffff, 1), 0x8000_0000);
});

const CASES = [
  { a: 5, b: 3, ahead: 2 },
  { a: 3, b: 5, ahead: -2 },
  { a: 0, b: 0xffff_ffff, ahead: 1 },
  { a: 0xffff_ffff, b: 0, ahead: -1 },
  { a: 0x8000_0000, b: 0x7fff_ffff, ahead: 1 },
  { a: 7, b: 7, ahead: 0 },
];
for (const { a, b, ahead: wanted } of CASES) {
  Deno.test(`ahead() of ${a} over ${b} is ${wanted}`, () => assertEquals(ahead(a, b), wanted));
}

Deno.test("INITIAL_SEQUENCE lets a session wrap with its 257th frame", () => {
  assertEquals(advance(INITIAL_SEQUENCE, 257), 0);
});
