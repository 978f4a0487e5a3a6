import { assertEquals } from "@std/assert";
import { SerialLog } from "../../card/endpoint/serial_log.ts";
import { page } from "../../protocol/mod.ts";

const SIZE = page.LOG_SIZE;

Deno.test("SerialLog keeps the last 64 KiB, oldest first, and counts from the first byte of the boot", () => {
  const log = new SerialLog();
  assertEquals([log.slice().length, log.written, log.kept], [0, 0, 0]);
  for (let i = 0; i < SIZE; i++) log.add(i & 0xff);
  assertEquals([log.written, log.kept], [SIZE, 0]);
  assertEquals(log.slice(), Uint8Array.from({ length: SIZE }, (_, i) => i & 0xff));
  for (let i = 0; i < 3; i++) log.add(0x100 - 1 - i);
  assertEquals([log.written, log.kept], [SIZE + 3, 3]);
  const bytes = log.slice();
  assertEquals(bytes.length, SIZE);
  assertEquals([...bytes.subarray(0, 2)], [3, 4]);
  assertEquals([...bytes.subarray(-4)], [0xff, 0xff, 0xfe, 0xfd]);
  assertEquals([...log.slice(SIZE - 1, SIZE + 2)], [0xff, 0xff, 0xfe]);
  assertEquals(log.slice(10, 10).length, 0);
});
