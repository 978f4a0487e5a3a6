import { assertEquals } from "@std/assert";
import { SerialLog } from "../../card/machine/v86/serial_log.ts";
import { page } from "../../protocol/mod.ts";

const SERIAL_LOG_SIZE = page.LOG_SIZE;

Deno.test("SerialLog keeps the last 64 KiB, oldest first", () => {
  const log = new SerialLog();
  assertEquals(log.bytes().length, 0);
  for (let i = 0; i < SERIAL_LOG_SIZE; i++) log.add(i & 0xff);
  assertEquals(log.bytes(), Uint8Array.from({ length: SERIAL_LOG_SIZE }, (_, i) => i & 0xff));
  for (let i = 0; i < 3; i++) log.add(0x100 - 1 - i);
  const bytes = log.bytes();
  assertEquals(bytes.length, SERIAL_LOG_SIZE);
  assertEquals([...bytes.subarray(0, 2)], [3, 4]);
  assertEquals([...bytes.subarray(-4)], [0xff, 0xff, 0xfe, 0xfd]);
});
