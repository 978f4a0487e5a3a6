import { assertEquals } from "@std/assert";
import { SpanList } from "../../protocol/link/span_list.ts";

Deno.test("spans() are those added since clear(), however many there were before", () => {
  const list = new SpanList();
  for (let i = 0; i < 40; i++) list.add(i, 1);
  assertEquals([list.spans().length, list.count, list.total], [40, 40, 40]);
  list.clear();
  list.add(0x1000, 16);
  list.extend(32);
  list.add(0x2000, 4);
  assertEquals(list.spans(), [{ address: 0x1000, length: 48 }, { address: 0x2000, length: 4 }]);
  assertEquals([list.count, list.total], [2, 52]);
  list.clear();
  assertEquals([list.spans().length, list.total], [0, 0]);
});
