import { assertEquals, assertRejects } from "@std/assert";
import { createHash } from "node:crypto";
import { BootError } from "../../host/driver/boot_error.ts";
import type { BootImages } from "../../host/driver/boot_image.ts";
import { CardPatience } from "../../host/driver/card_patience.ts";
import { download, type DownloadProgress } from "../../host/driver/download.ts";
import { probe } from "../../host/driver/probe.ts";
import { RootPort } from "../../host/driver/root_port.ts";
import { BackendError, encodeDiagImage } from "../../protocol/mod.ts";
import { FakeCard } from "../support/fake_card.ts";

const MIB = 2 ** 20;
const never = new AbortController().signal;

async function makeTarget() {
  const card = new FakeCard(new RootPort());
  const { windows } = await probe(card.requester);
  const target = {
    requester: card.requester,
    aperture: windows.aperture.address,
    platform: "diag",
    memoryBytes: card.memoryBytes,
    loadAddress: MIB,
    page: { address: card.pageOffset, length: 0x20000 },
    patience: new CardPatience({ answerTimeout: 1000 }),
  };
  return { card, target };
}

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash("sha256").update(bytes).digest());
const kernel = encodeDiagImage("quiet");

Deno.test("download() puts every part in its place, with its digest", async () => {
  const { card, target } = await makeTarget();
  const initrd = new Uint8Array(600_000).map((_, i) => i * 7);
  const seen: DownloadProgress[] = [];
  const images = {
    kernel: { name: "diag", bytes: kernel },
    initrd: { name: "initrd", bytes: initrd },
    cmdline: "console=hvc0 é",
  };
  const { kind, placement, digests } = await download(target, images, (p) => seen.push(p), never);
  await card.settle();
  assertEquals(kind, "diag");
  assertEquals(card.aperture.slice(MIB, MIB + kernel.length), kernel);
  const cmdline = new TextEncoder().encode("console=hvc0 é\0");
  assertEquals(card.aperture.slice(MIB + 4096, MIB + 4096 + cmdline.length), cmdline);
  const at = placement.initrd!.address;
  assertEquals(at, 4 * MIB - 602_112);
  assertEquals(card.aperture.slice(at, at + initrd.length), initrd);
  assertEquals(digests.slice(0, 32), sha256(kernel));
  assertEquals(digests.slice(32, 64), sha256(cmdline.subarray(0, -1)));
  assertEquals(digests.slice(64), sha256(initrd));
  assertEquals(seen, [
    { part: "kernel", done: 13, total: 13 },
    { part: "initrd", done: 262_144, total: 600_000 },
    { part: "initrd", done: 524_288, total: 600_000 },
    { part: "initrd", done: 600_000, total: 600_000 },
  ]);
});

Deno.test("download() leaves a digest of zeros where there is no initrd", async () => {
  const { target } = await makeTarget();
  const images = { kernel: { name: "diag", bytes: kernel } };
  const { digests } = await download(target, images, () => {}, never);
  assertEquals(digests.slice(32, 64), sha256(new Uint8Array(0)));
  assertEquals(digests.slice(64), new Uint8Array(32));
});

Deno.test("download() reads files in pieces", async () => {
  const { card, target } = await makeTarget();
  const path = await Deno.makeTempFile();
  try {
    const bytes = new Uint8Array(300_000).fill(0x20);
    bytes.set(kernel);
    await Deno.writeFile(path, bytes);
    await download(target, { kernel: path }, () => {}, never);
    await card.settle();
    assertEquals(card.aperture.slice(MIB, MIB + bytes.length), bytes);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("download() posts nothing more while the link is full, and goes on when it drains", async () => {
  const { card, target } = await makeTarget();
  const bytes = new Uint8Array(600_000).fill(0x20);
  bytes.set(kernel);
  card.writable = false;
  let done = 0;
  const running = download(
    target,
    { kernel: { name: "diag", bytes } },
    (p) => {
      done = p.done;
      card.writable = false;
    },
    never,
  );
  await card.settle();
  assertEquals(done, 0);
  for (const expected of [262_144, 524_288, 600_000]) {
    card.resume();
    await card.settle();
    assertEquals(done, expected);
  }
  await running;
});

Deno.test("download() that waits for the link ends when it is cancelled", async () => {
  const { card, target } = await makeTarget();
  card.writable = false;
  const abort = new AbortController();
  const images = { kernel: { name: "diag", bytes: kernel } };
  const running = download(target, images, () => {}, abort.signal);
  await card.settle();
  abort.abort(new Error("enough"));
  await assertRejects(() => running, Error, "enough");
});

async function refusal(images: BootImages) {
  const { card, target } = await makeTarget();
  const error = await assertRejects(() => download(target, images, () => {}, never));
  await card.settle();
  assertEquals(card.writes, []);
  return error;
}

Deno.test("download() refuses what is no kernel, before it writes anything", async () => {
  const error = await refusal({
    kernel: { name: "x.img", bytes: new TextEncoder().encode("hello\n") },
  });
  assertEquals(error instanceof BootError, true);
  assertEquals(
    error.message,
    "Cannot boot 'x.img': found a text file, wanted a diagnostic OS image",
  );
});

Deno.test("download() refuses an image that is missing or no file, by name", async () => {
  const missing = await refusal({ kernel: "/nonexistent/x.img" });
  assertEquals(missing instanceof BackendError, true);
  assertEquals(missing.message, "Cannot read boot image '/nonexistent/x.img': no such file");
  const folder = await refusal({ kernel: { name: "diag", bytes: kernel }, initrd: "." });
  assertEquals(folder.message, "Cannot read boot image '.': not a file");
});

Deno.test("download() refuses what does not fit, before it writes anything", async () => {
  const error = await refusal({
    kernel: { name: "diag", bytes: kernel },
    initrd: { name: "initrd", bytes: new Uint8Array(3 * MIB) },
  });
  assertEquals(
    error.message,
    "Cannot boot: kernel (0.0 MiB) and initrd (3.0 MiB) at 1.0 MiB need 5 MiB of card memory, the card has 4",
  );
});
