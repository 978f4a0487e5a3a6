import { assert, assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { FileBackend } from "../../host/backends/file.ts";
import { BackendError } from "../../protocol/errors.ts";

const SIGNAL = new AbortController().signal;
const MIB = 1024 * 1024;
const ffi = Deno.permissions.querySync({ name: "ffi" }).state === "granted";

/** A file of so many bytes that are all holes, gone at the end of the test. */
async function image(bytes: number): Promise<{ path: string } & Disposable> {
  const path = await Deno.makeTempFile({ suffix: ".img" });
  await Deno.truncate(path, bytes);
  return { path, [Symbol.dispose]: () => Deno.removeSync(path) };
}

function allocated(path: string): number {
  return Deno.statSync(path).blocks! * 512;
}

function filled(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i % 251 + 1);
}

function read(disk: FileBackend, sector: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(0xee);
  disk.read(sector, bytes, SIGNAL);
  return bytes;
}

Deno.test("FileBackend reads holes as zeros, and what was written, at every place", async () => {
  using file = await image(MIB);
  await using disk = FileBackend.open(file.path);
  assertEquals([disk.sectors, disk.readOnly, disk.name], [2048, false, file.path]);
  disk.write(0, filled(512), SIGNAL);
  disk.write(2040, filled(4096), SIGNAL);
  assertEquals(read(disk, 0, 1024), new Uint8Array([...filled(512), ...new Uint8Array(512)]));
  assertEquals(read(disk, 2040, 4096), filled(4096));
  assertEquals(Deno.statSync(file.path).size, MIB);
});

Deno.test("FileBackend leaves a sparse image sparse", async () => {
  using file = await image(64 * MIB);
  await using disk = FileBackend.open(file.path);
  disk.write(65536, filled(4096), SIGNAL);
  await disk.flush(SIGNAL);
  assertLess(allocated(file.path), MIB);
});

Deno.test("FileBackend.flush() resolves, also many at once and for a read-only disk", async () => {
  using file = await image(MIB);
  await using disk = FileBackend.open(file.path);
  disk.write(0, filled(512), SIGNAL);
  await Promise.all([disk.flush(SIGNAL), disk.flush(SIGNAL)]);
  await disk[Symbol.asyncDispose]();
  await using reader = FileBackend.open(file.path, { readOnly: true });
  await reader.flush(SIGNAL);
});

Deno.test("FileBackend can be disposed while a flush runs, and twice", async () => {
  using file = await image(MIB);
  const disk = FileBackend.open(file.path);
  const flush = disk.flush(SIGNAL);
  await disk[Symbol.asyncDispose]();
  await flush;
  await disk[Symbol.asyncDispose]();
});

Deno.test({
  name: "FileBackend.discard() punches holes",
  ignore: !ffi,
  async fn() {
    using file = await image(8 * MIB);
    await using disk = FileBackend.open(file.path);
    disk.write(0, filled(8 * MIB), SIGNAL);
    await disk.flush(SIGNAL);
    const before = allocated(file.path);
    await disk.discard(2048, 4 * 2048, SIGNAL);
    assertGreater(before - allocated(file.path), 3 * MIB);
    assertEquals(read(disk, 2048, 512), new Uint8Array(512));
    assertEquals(read(disk, 0, 512), filled(512));
    assertEquals(Deno.statSync(file.path).size, 8 * MIB);
  },
});

Deno.test("FileBackend.writeZeroes() zeroes just the range, with and without unmap, and frees it if it may", async () => {
  for (const unmap of [false, true]) {
    using file = await image(8 * MIB);
    await using disk = FileBackend.open(file.path);
    const data = filled(8 * MIB);
    disk.write(0, data, SIGNAL);
    await disk.flush(SIGNAL);
    const before = allocated(file.path);
    await disk.writeZeroes(1, 4 * 2048 + 1, unmap, SIGNAL);
    data.fill(0, 512, 4 * MIB + 1024);
    assertEquals(read(disk, 0, 8 * MIB), data);
    const freed = before - allocated(file.path);
    if (ffi) assertEquals(freed > 3 * MIB, unmap);
  }
});

Deno.test("FileBackend frees a range larger than one piece, with the event loop in between", async () => {
  using file = await image(200 * MIB);
  await using disk = FileBackend.open(file.path);
  disk.write(0, filled(4096), SIGNAL);
  disk.write(180 * 2048, filled(4096), SIGNAL);
  const done = disk.discard(0, 200 * 2048, SIGNAL);
  assertEquals(done instanceof Promise, ffi);
  await done;
  if (ffi) assertEquals([...read(disk, 180 * 2048, 2)], [0, 0]);
});

Deno.test("FileBackend stops freeing a large range when it is aborted", async () => {
  using file = await image(200 * MIB);
  await using disk = FileBackend.open(file.path);
  const controller = new AbortController();
  disk.write(180 * 2048, filled(4096), SIGNAL);
  const done = disk.writeZeroes(0, 200 * 2048, true, controller.signal);
  controller.abort(new Error("reset"));
  await Promise.resolve(done).then(() => assert(false), () => {});
  assertEquals(read(disk, 180 * 2048, 4096), filled(4096));
});

Deno.test({
  name: "FileBackend writes zeros of one range after the other, and gives the event loop its turns",
  // With system calls the file system would zero the ranges itself, and there would be nothing to write.
  permissions: { ffi: false, read: "inherit", write: "inherit" },
}, async () => {
  const path = await Deno.makeTempFile();
  await Deno.truncate(path, 64 * MIB);
  {
    await using disk = FileBackend.open(path);
    disk.write(0, filled(512), SIGNAL);
    const order: string[] = [];
    const stop = new AbortController();
    const zero = (sector: number, signal: AbortSignal) =>
      Promise.resolve(disk.writeZeroes(sector, 16 * 2048, false, signal))
        .then(() => order.push(`${sector}`), () => order.push(`${sector} given up`));
    const all = [zero(0, SIGNAL), zero(16 * 2048, SIGNAL), zero(32 * 2048, stop.signal)];
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await all[0];
    // Of the second range no more than a piece can be there yet.
    assertLess(allocated(path), 20 * MIB);
    stop.abort();
    await Promise.all(all);
    clearInterval(timer);
    assertEquals(order, ["0", `${16 * 2048}`, `${32 * 2048} given up`]);
    assertGreater(turns, 0);
    assertEquals(read(disk, 0, 512), new Uint8Array(512));
  }
  await Deno.remove(path);
});

Deno.test("FileBackend refuses a second writer, and a writer beside a reader, but not two readers", async () => {
  using file = await image(MIB);
  {
    await using _writer = FileBackend.open(file.path);
    for (const readOnly of [false, true]) {
      const error = assertThrows(() => FileBackend.open(file.path, { readOnly }), BackendError);
      assertEquals(
        error.message,
        `Cannot open disk image ${file.path}: it is in use; whoever only reads it may share it as "${file.path},readonly"`,
      );
    }
  }
  await using _reader = FileBackend.open(file.path, { readOnly: true });
  await using _another = FileBackend.open(file.path, { readOnly: true });
  assertThrows(() => FileBackend.open(file.path), BackendError);
});

for (const bytes of [0, 511, 1000]) {
  Deno.test(`FileBackend refuses an image of ${bytes} bytes, and leaves it unlocked`, async () => {
    using file = await image(bytes);
    const error = assertThrows(() => FileBackend.open(file.path), BackendError);
    assertEquals(
      error.message,
      bytes === 0
        ? `Cannot open disk image ${file.path}: it is empty; give it a size with "truncate -s 1G ${file.path}"`
        : `Cannot open disk image ${file.path}: it has ${bytes} bytes, wanted whole sectors of 512; ` +
          `"truncate -s %512 ${file.path}" fills it up`,
    );
    await Deno.truncate(file.path, 512);
    await using disk = FileBackend.open(file.path);
    assertEquals(disk.sectors, 1);
  });
}

Deno.test("FileBackend names a missing image, and a directory", async () => {
  using file = await image(512);
  assertThrows(() => FileBackend.open(`${file.path}.no`), BackendError, "no such file");
  const folder = await Deno.makeTempDir();
  assertThrows(() => FileBackend.open(folder, { readOnly: true }), BackendError, "directory");
  await Deno.remove(folder);
});

Deno.test("FileBackend fails a read of a file that was cut short", async () => {
  using file = await image(MIB);
  await using disk = FileBackend.open(file.path);
  await Deno.truncate(file.path, 512);
  const error = assertThrows(() => read(disk, 0, 1024), BackendError);
  assertEquals(error.message, `Cannot read ${file.path}: the file was cut short`);
});

Deno.test("FileBackend fails a write to a file that it may only read", async () => {
  using file = await image(MIB);
  await using disk = FileBackend.open(file.path, { readOnly: true });
  assertThrows(() => disk.write(0, filled(512), SIGNAL), BackendError, "Cannot write");
});

Deno.test("FileBackend.resize() makes the image longer with a hole, or sees that it has grown", async () => {
  using file = await image(MIB);
  await using disk = FileBackend.open(file.path);
  disk.write(0, filled(512), SIGNAL);
  disk.resize(64 * 2048);
  assertEquals([disk.sectors, Deno.statSync(file.path).size], [64 * 2048, 64 * MIB]);
  assertLess(allocated(file.path), MIB);
  assertEquals(read(disk, 64 * 2048 - 1, 512), new Uint8Array(512));
  assertEquals(read(disk, 0, 512), filled(512));
  await Deno.truncate(file.path, 96 * MIB);
  disk.resize(96 * 2048);
  assertEquals(disk.sectors, 96 * 2048);
});

Deno.test("FileBackend.resize() never makes an image smaller, and leaves a read-only one alone", async () => {
  using file = await image(2 * MIB);
  await using disk = FileBackend.open(file.path);
  assertThrows(() => disk.resize(2048), BackendError, "it has 2097152 bytes, 1048576 would be");
  await disk[Symbol.asyncDispose]();
  await using reader = FileBackend.open(file.path, { readOnly: true });
  assertThrows(() => reader.resize(8192), BackendError, "it is read-only");
  assertEquals([reader.sectors, Deno.statSync(file.path).size], [4096, 2 * MIB]);
});
