import { assertEquals } from "@std/assert";
import { Incoming } from "../../protocol/link/incoming.ts";
import { limitsOf } from "../../protocol/link/limits.ts";

const FIRST = 0xffff_ff00;
const KIB = 1024;

Deno.test("Incoming.due() is true from 512 KiB on, of a window that is much larger", () => {
  const incoming = new Incoming(limitsOf());
  for (let n = 0; n < 3; n++) incoming.receive(FIRST + n, 128 * KIB);
  assertEquals([incoming.owes(true), incoming.due(true)], [true, false]);
  incoming.receive(FIRST + 3, 128 * KIB);
  assertEquals(incoming.due(true), true);
  assertEquals(incoming.acknowledge(), FIRST + 3);
  assertEquals([incoming.owes(true), incoming.due(true)], [false, false]);
});

Deno.test("Incoming.due() is true from a quarter of a window on, of a small one", () => {
  const incoming = new Incoming(limitsOf({ maxPayload: 4 * KIB, postedBytes: 64 * KIB }));
  for (let n = 0; n < 3; n++) incoming.receive(FIRST + n, 4 * KIB);
  assertEquals(incoming.due(true), false);
  incoming.receive(FIRST + 3, 4 * KIB);
  assertEquals(incoming.due(true), true);
});
