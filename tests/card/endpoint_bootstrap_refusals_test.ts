// What the bootstrap does not boot, and the sentence that the host gets for it.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { BootRefused } from "../../card/machine/types.ts";
import { page } from "../../protocol/mod.ts";
import { type BootRig, LINUX } from "../support/boot_rig.ts";
import { APERTURE } from "../support/endpoint_host.ts";
import {
  CMDLINE_LENGTH,
  DIGESTS,
  KERNEL_ADDRESS,
  KERNEL_LENGTH,
  MAGIC,
  ready,
} from "../support/ready_card.ts";

const FLIPPED = new Uint8Array(1).fill(0x55);
const REFUSALS: readonly {
  when: string;
  code: string;
  text: string;
  spoil(rig: BootRig): void;
}[] = [
  {
    when: "the card page has no magic",
    code: "1E",
    text: "Cannot read card page: magic 0 version 1, wanted c0ffee00 version 1",
    spoil: (rig) => rig.writePage32(MAGIC, 0),
  },
  {
    when: "there is no kernel",
    code: "5E",
    text: "Cannot boot: no kernel given",
    spoil: (rig) => rig.writePage32(KERNEL_LENGTH, 0),
  },
  {
    when: "the kernel ends past card memory",
    code: "5E",
    text: "Cannot load kernel: 8 bytes at 0x1ffffc, card memory has 2097152",
    spoil: (rig) => rig.writePage32(KERNEL_ADDRESS, 0x1f_fffc),
  },
  {
    when: "the kernel's address is beyond all addresses",
    code: "5E",
    text: "Cannot load kernel: 8 bytes at 0xInfinity, card memory has 2097152",
    spoil: (rig) => rig.writePage32(KERNEL_ADDRESS + 4, 0xffff_ffff),
  },
  {
    when: "the command line is longer than card memory",
    code: "5E",
    text: "Cannot load command line: 4294967295 bytes at 0x180000, card memory has 2097152",
    spoil: (rig) => rig.writePage32(CMDLINE_LENGTH, 0xffff_ffff),
  },
  {
    when: "a byte of the kernel is wrong",
    code: "4E",
    text: "Cannot trust kernel: 8 bytes at 0x100000 have SHA-256",
    spoil: (rig) => rig.host.endpoint.memoryWrite(APERTURE + 0x10_0007, FLIPPED),
  },
  {
    when: "a byte of the command line is wrong",
    code: "4E",
    text: "Cannot trust command line: 12 bytes at 0x180000 have SHA-256",
    spoil: (rig) => rig.host.endpoint.memoryWrite(APERTURE + 0x18_0000, FLIPPED),
  },
  {
    when: "a byte of the initrd's digest is wrong",
    code: "4E",
    text: "Cannot trust initrd: 9 bytes at 0x190000 have SHA-256",
    spoil: (rig) => rig.writePage(DIGESTS + 64, FLIPPED),
  },
  {
    when: "a slot has more queues than there can be",
    code: "1E",
    text: "Cannot read slot 2: virtio type 1, 65 queues, 0 bytes of configuration",
    spoil: (rig) => rig.writePage(page.slotOffset(2), Uint8Array.of(1, 0, 65, 0)),
  },
  {
    when: "a queue has no room for a chain record",
    code: "1E",
    text: "Cannot read slot 0 queue 0: size 64, staging 0 bytes",
    spoil(rig) {
      rig.writePage(page.slotOffset(0), Uint8Array.of(1, 0, 1, 0));
      rig.writePage(page.slotOffset(0) + page.QUEUES_OFFSET, Uint8Array.of(64, 0));
    },
  },
  {
    when: "the machine does not want the image",
    code: "7E",
    text: "no kernel for this machine",
    spoil: (rig) => rig.machine.refusal = new BootRefused("7E", "no kernel for this machine"),
  },
  {
    when: "the machine fails in a way nobody thought of",
    code: "dE",
    text: "Cannot boot: TypeError: oops",
    spoil: (rig) => rig.machine.refusal = new TypeError("oops"),
  },
];

for (const { when, code, text, spoil } of REFUSALS) {
  Deno.test(`boot() refuses with ${code} and a sentence when ${when}`, async () => {
    await using rig = await ready();
    rig.download();
    spoil(rig);
    rig.bootSignal();
    assertEquals(rig.bootstrap.state, "refused");
    assertEquals(rig.publishedState, "refused");
    assertEquals(rig.postCodes.at(-1), code);
    assertEquals(rig.text.slice(0, text.length), text);
    assertEquals(rig.machine.image, undefined);
    assertEquals(rig.host.link.interrupts.at(-1), 0);
  });
}

Deno.test("a refused digest is told with what was found and what was wanted", async () => {
  await using rig = await ready();
  rig.download({ ...LINUX, kernel: "abc" });
  rig.writePage(DIGESTS, new Uint8Array(32));
  rig.bootSignal();
  // FIPS 180-4, the example of "abc".
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assertStringIncludes(rig.text, `have SHA-256 ${abc}, wanted ${"00".repeat(32)}`);
});

Deno.test("boot() refuses with 1E, by POST code alone, when the host page has no bus address", async () => {
  await using rig = await ready();
  rig.download();
  rig.host.writeRegister("host_page_high", 0xffff_ffff);
  rig.host.link.forget();
  rig.bootSignal();
  assertEquals(rig.postCodes, ["13", "1E"]);
  assertEquals(rig.host.link.posted.filter((p) => "write" in p), []);
});
