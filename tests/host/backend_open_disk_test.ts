import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { FileBackend } from "../../host/backends/file.ts";
import { MemoryBackend } from "../../host/backends/memory.ts";
import { openDisk, parseDisk } from "../../host/backends/open_disk.ts";
import { BackendError } from "../../protocol/mod.ts";

Deno.test("parseDisk() knows a path, a path to read only, and memory", () => {
  assertEquals(parseDisk("a.img"), { kind: "file", path: "a.img", readOnly: false });
  assertEquals(parseDisk("a,b.img"), { kind: "file", path: "a,b.img", readOnly: false });
  assertEquals(parseDisk("a,b.img,readonly"), { kind: "file", path: "a,b.img", readOnly: true });
  assertEquals(parseDisk("./mem:1G"), { kind: "file", path: "./mem:1G", readOnly: false });
  for (
    const [text, bytes] of [
      ["mem:512", 512],
      ["mem:4K", 4096],
      ["mem:64M", 67_108_864],
      ["mem:1G", 1_073_741_824],
      ["mem:2T", 2_199_023_255_552],
    ] as const
  ) {
    assertEquals(parseDisk(text), { kind: "memory", name: text, bytes });
  }
});

Deno.test("parseDisk() refuses sizes that are none, and says what it wants", () => {
  for (const text of ["mem:", "mem:0", "mem:1", "mem:513", "mem:64m", "mem:1.5G", "mem:-1M"]) {
    assertThrows(() => parseDisk(text), RangeError, `Cannot use disk "${text}": wanted mem:SIZE`);
  }
});

Deno.test("parseDisk() knows an NBD URI, and a file of such a name by its folder", () => {
  const address = {
    uri: "nbd://store/vm,1",
    exportName: "vm,1",
    transport: "tcp",
    hostname: "store",
    port: 10809,
  } as const;
  assertEquals(parseDisk("nbd://store/vm,1"), { kind: "nbd", address });
  assertEquals(parseDisk("./nbd:1").kind, "file");
  assertEquals(parseDisk("nbd.img").kind, "file");
  assertThrows(() => parseDisk("nbd:store:10809"), RangeError, "wanted nbd://HOST");
});

Deno.test("parseDisk() suggests the word that was meant", () => {
  assertThrows(
    () => parseDisk("a.img,readonli"),
    RangeError,
    'Cannot use disk "a.img,readonli": wanted a.img,readonly',
  );
  for (const text of ["", ",readonly"]) {
    assertThrows(() => parseDisk(text), RangeError, `Cannot use disk "${text}": wanted PATH`);
  }
});

Deno.test("openDisk() gives a disk of zeros in memory, and a file", async () => {
  const memory = await openDisk(parseDisk("mem:1M"), () => {});
  assertInstanceOf(memory, MemoryBackend);
  assertEquals([memory.name, memory.sectors, memory.readOnly], ["mem:1M", 2048, false]);
  const path = await Deno.makeTempFile();
  await Deno.truncate(path, 1024);
  {
    await using file = await openDisk(parseDisk(`${path},readonly`), () => {});
    assertEquals(file.constructor, FileBackend);
    assertEquals([file.name, file.sectors, file.readOnly], [path, 2, true]);
  }
  await Deno.remove(path);
});

Deno.test("openDisk() says when the memory cannot be had", async () => {
  await assertRejects(
    () => openDisk(parseDisk("mem:4000T"), () => {}),
    BackendError,
    "Cannot make disk mem:4000T: this process cannot have so much memory",
  );
});
