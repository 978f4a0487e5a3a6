import { assert, assertEquals, assertThrows } from "@std/assert";
import { STUB_CODE, stubLibrary } from "../../host/backends/_elf.ts";
import { checked, ERRNO, errorText } from "../../host/backends/_errno.ts";
import { O, openLibc, POLL } from "../../host/backends/_libc.ts";
import { BackendError } from "../../protocol/mod.ts";
import { missing } from "../support/needs.ts";

const ignore = await missing("ffi");

Deno.test("stubLibrary() begins as an ELF-64 shared object of its machine", () => {
  const head = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0];
  for (const [arch, machine] of [["x86_64", 0x3e], ["aarch64", 0xb7]] as const) {
    const bytes = stubLibrary(STUB_CODE[arch]!);
    assertEquals([...bytes.subarray(0, 20)], [...head, machine, 0], arch);
    assertEquals(bytes[54], 56, "program header size"); // e_phentsize
    assert(bytes.length < 1024);
  }
});

Deno.test("errorText() names the error and keeps unknown numbers", () => {
  assertEquals(errorText(-13), "permission denied (EACCES)");
  assertEquals(errorText(4095), "error 4095");
});

Deno.test("checked() passes a value on and throws a sentence for an error", () => {
  assertEquals(checked(7, "count"), 7);
  assertThrows(
    () => checked(-ERRNO.EBUSY, "attach to mic0"),
    BackendError,
    "Cannot attach to mic0: device or resource busy (EBUSY)",
  );
});

Deno.test({ name: "Libc returns negated error numbers", ignore }, () => {
  using libc = openLibc();
  assertEquals(libc.read(-1, new Uint8Array(1)), -ERRNO.EBADF);
  assertEquals(libc.open("/no/such/file", O.RDONLY), -ERRNO.ENOENT);
  const fd = libc.open("/dev/null", O.RDWR);
  assert(fd >= 0);
  assertEquals(libc.ioctl(fd, 0x5413, new Uint8Array(8)), -ERRNO.ENOTTY);
  assertEquals(libc.close(fd), 0);
  assertEquals(libc.close(fd), -ERRNO.EBADF);
});

Deno.test({ name: "Libc.socketpair() makes two ends that carry bytes", ignore }, () => {
  using libc = openLibc();
  const pair = new Int32Array(2);
  assertEquals(libc.socketpair(pair), 0);
  const into = new Uint8Array(8);
  assertEquals(libc.write(pair[0]!, Uint8Array.of(1, 2, 3)), 3);
  assertEquals(libc.read(pair[1]!, into), 3);
  assertEquals([...into], [1, 2, 3, 0, 0, 0, 0, 0]);
  libc.close(pair[0]!);
  assertEquals(libc.read(pair[1]!, into), 0);
  libc.close(pair[1]!);
});

Deno.test({ name: "Libc.poll() resolves when an eventfd is written", ignore }, async () => {
  using libc = openLibc();
  const fd = libc.eventfd();
  const fds = new Uint8Array(8);
  const view = new DataView(fds.buffer);
  view.setInt32(0, fd, true);
  view.setUint16(4, POLL.IN, true);
  const polled = libc.poll(fds, 1);
  assertEquals(libc.write(fd, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)), 8);
  assertEquals(await polled, 1);
  assertEquals(view.getUint16(6, true), POLL.IN);
  libc.close(fd);
});

Deno.test({ name: "Libc.fallocate() punches a hole that reads as zeros", ignore }, () => {
  using libc = openLibc();
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(path, new Uint8Array(65536).fill(7));
    const fd = libc.open(path, O.RDWR);
    assertEquals(libc.fallocate(fd, 3, 4096, 8192), 0);
    libc.close(fd);
    const bytes = Deno.readFileSync(path);
    assertEquals(bytes.length, 65536);
    assertEquals([4095, 4096, 12287, 12288].map((i) => bytes[i]), [7, 0, 0, 7]);
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test({ name: "openLibc() keeps the library while one user is left", ignore }, () => {
  const first = openLibc();
  const second = openLibc();
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assertEquals(second.close(-1), -ERRNO.EBADF);
  second[Symbol.dispose]();
});

Deno.test({
  name: "openLibc() names the missing permission",
  permissions: { ffi: false },
}, () => {
  assertThrows(openLibc, BackendError, "--allow-ffi");
});
