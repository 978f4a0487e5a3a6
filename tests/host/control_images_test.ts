import { assertEquals, assertRejects } from "@std/assert";
import { defaultAddress } from "../../host/control/addresses.ts";
import { diagImages, type ImageChoices, linuxImages } from "../../host/control/images.ts";
import { BootError } from "../../host/driver/boot_error.ts";
import { BackendError, encodeDiagImage } from "../../protocol/mod.ts";

const NOTHING: ImageChoices = {
  kernel: undefined,
  initrd: undefined,
  cmdline: undefined,
  name: "mic0",
  address: undefined,
};

/** A folder with an ELF head for a kernel, and an initrd. */
async function imageFolder() {
  const path = await Deno.makeTempDir();
  const kernel = `${path}/vmlinux`;
  const initrd = `${path}/initrd.img`;
  const elf = new Uint8Array(64);
  // 32-bit ELF for machine 3, x86.
  elf.set([0x7f, 0x45, 0x4c, 0x46, 1]);
  elf[18] = 3;
  await Deno.writeFile(kernel, elf);
  await Deno.writeFile(initrd, new Uint8Array(8));
  return {
    kernel,
    initrd,
    cmdline: "root=/dev/vda",
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

Deno.test("linuxImages() takes the card image, and adds name and network to its command line", async () => {
  await using folder = await imageFolder();
  const { kernel, initrd } = folder;
  assertEquals(await linuxImages(NOTHING, folder), {
    kernel,
    initrd,
    cmdline: "root=/dev/vda knightsbridge.name=mic0",
  });
  const { cmdline } = await linuxImages({ ...NOTHING, address: "dhcp" }, folder);
  assertEquals(cmdline, "root=/dev/vda knightsbridge.name=mic0 knightsbridge.net=dhcp");
});

Deno.test("linuxImages() gives another kernel no initrd that was made for the image's own", async () => {
  await using folder = await imageFolder();
  const { kernel, initrd } = folder;
  assertEquals(await linuxImages({ ...NOTHING, kernel }, undefined), {
    kernel,
    initrd: undefined,
    cmdline: "console=hvc0 knightsbridge.name=mic0",
  });
  assertEquals((await linuxImages({ ...NOTHING, initrd }, folder)).initrd, initrd);
});

Deno.test("linuxImages() takes a command line whole", async () => {
  await using folder = await imageFolder();
  const images = await linuxImages({ ...NOTHING, cmdline: "single", address: "dhcp" }, folder);
  assertEquals(images.cmdline, "single");
});

Deno.test("linuxImages() names what is missing, or no kernel, before any card has come", async () => {
  await assertRejects(
    () => linuxImages(NOTHING, undefined),
    BackendError,
    "Cannot boot Linux: there is no card image in the cache; run `deno task card-os`, or name a --kernel",
  );
  await using folder = await imageFolder();
  await assertRejects(
    () => linuxImages({ ...NOTHING, initrd: "/nonexistent/initrd" }, folder),
    BackendError,
    "Cannot read boot image '/nonexistent/initrd': no such file",
  );
  await assertRejects(
    () => linuxImages({ ...NOTHING, kernel: folder.initrd }, folder),
    BootError,
    `Cannot boot '${folder.initrd}': found a file of unknown format, wanted a 32-bit x86 Linux kernel`,
  );
});

Deno.test("diagImages() is the image that says so, with its address on the command line", () => {
  const { kernel, cmdline, initrd } = diagImages(NOTHING);
  assertEquals(kernel, { name: "diagnostic OS", bytes: encodeDiagImage() });
  assertEquals([cmdline, initrd], ["", undefined]);
  assertEquals(diagImages({ ...NOTHING, address: "dhcp" }).cmdline, "ip=dhcp");
  assertEquals(
    diagImages({ ...NOTHING, address: defaultAddress("tap", 0) }).cmdline,
    "ip=172.31.1.1/24,172.31.1.254",
  );
  assertEquals(diagImages({ ...NOTHING, cmdline: "x", address: "dhcp" }).cmdline, "x");
});
