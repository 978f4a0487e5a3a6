import { assertEquals, assertThrows } from "@std/assert";
import { MemoryBackend } from "../../host/backends/memory.ts";
import { BackendError } from "../../protocol/errors.ts";

const SIGNAL = new AbortController().signal;

Deno.test("MemoryBackend reads what was written, and zeros where it was zeroed or discarded", async () => {
  await using disk = new MemoryBackend(new Uint8Array(4 * 512));
  assertEquals([disk.sectors, disk.readOnly, disk.name], [4, false, "memory"]);
  disk.write(0, new Uint8Array(4 * 512).fill(1), SIGNAL);
  disk.writeZeroes(1, 1, false, SIGNAL);
  disk.discard(3, 1, SIGNAL);
  await disk.flush(SIGNAL);
  const firsts = [0, 1, 2, 3].map((sector) => {
    const into = new Uint8Array(512).fill(9);
    disk.read(sector, into, SIGNAL);
    return into[511];
  });
  assertEquals(firsts, [1, 0, 1, 0]);
});

Deno.test("MemoryBackend wants whole sectors", () => {
  assertThrows(() => new MemoryBackend(new Uint8Array(513)), RangeError, "513");
  assertThrows(() => new MemoryBackend(new Uint8Array(0)), RangeError);
});

Deno.test("MemoryBackend.resize() keeps what is there, and never takes anything away", () => {
  const disk = new MemoryBackend(new Uint8Array(2 * 512).fill(7));
  disk.resize(3);
  assertEquals([disk.sectors, disk.bytes[1023], disk.bytes[1024]], [3, 7, 0]);
  assertThrows(() => disk.resize(2), BackendError, "Cannot resize memory: it has 1536 bytes");
  assertThrows(() => disk.resize(2 ** 43), BackendError, "so much memory");
  assertEquals(disk.sectors, 3);
});
