import { assertEquals, assertRejects } from "@std/assert";
import { cpio } from "../../scripts/card_os/cpio.ts";
import { moduleDependencies, unpackKernel } from "../../scripts/card_os/kernel.ts";
import { busyboxApplets } from "../../scripts/card_os/tree.ts";
import { CommandError } from "../../scripts/cli/mod.ts";

const ascii = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

Deno.test("cpio() writes newc members as the kernel's buffer format has them", () => {
  const archive = cpio([
    { kind: "folder", path: "dev" },
    { kind: "device", path: "dev/console", major: 5, minor: 1 },
    { kind: "file", path: "init", bytes: ascii("hi\n"), mode: 0o755 },
  ]);
  // Typed by hand: magic, 13 fields of 8 hex digits, name, padding to 4, data, padding to 4.
  const zero = "00000000";
  const folder = "070701" + "00000001" + "000041ed" + zero + zero + "00000001" + zero + zero +
    zero + zero + zero +
    zero + "00000004" + zero + "dev\0" + "\0\0";
  const device = "070701" + "00000002" + "00002180" + zero + zero + "00000001" + zero + zero +
    zero + zero +
    "00000005" + "00000001" + "0000000c" + zero + "dev/console\0" + "\0\0";
  const file = "070701" + "00000003" + "000081ed" + zero + zero + "00000001" + zero + "00000003" +
    zero + zero +
    zero + zero + "00000005" + zero + "init\0" + "\0" + "hi\n\0";
  const trailer = "070701" + zero + zero + zero + zero + "00000001" + zero + zero + zero + zero +
    zero + zero +
    "0000000b" + zero + "TRAILER!!!\0" + "\0\0\0";
  assertEquals(new TextDecoder().decode(archive), folder + device + file + trailer);
});

Deno.test("moduleDependencies() reads the depends key of .modinfo", () => {
  assertEquals(
    moduleDependencies(ascii("\x7fELF\0\0license=GPL\0depends=jbd2,crc16,mb-cache\0x=y\0")),
    [
      "jbd2",
      "crc16",
      "mb_cache",
    ],
  );
  assertEquals(moduleDependencies(ascii("\0depends=\0name=virtio\0")), []);
  assertEquals(moduleDependencies(ascii("\0nothing here\0")), []);
});

Deno.test("busyboxApplets() reads the table of names in the binary", () => {
  assertEquals(busyboxApplets(ascii("junk\0[\0[[\0ash\0zcat\0\0more")), ["[", "[[", "ash", "zcat"]);
});

Deno.test("unpackKernel() refuses what is no bzImage, and one of another compression", async () => {
  await assertRejects(
    () => unpackKernel(new Uint8Array(4096)),
    CommandError,
    "no boot protocol header",
  );
  const image = new Uint8Array(4096);
  image.set(ascii("HdrS"), 0x202);
  new DataView(image.buffer).setUint32(0x24c, 64, true);
  await assertRejects(() => unpackKernel(image), CommandError, "another compression");
  new DataView(image.buffer).setUint32(0x24c, 9999, true);
  await assertRejects(() => unpackKernel(image), CommandError, "outside the file");
});
