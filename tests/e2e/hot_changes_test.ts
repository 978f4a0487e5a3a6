// What an operator changes while a Linux card runs reaches it.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { BackendError } from "../../protocol/mod.ts";
import { HotLab } from "../support/hot_lab.ts";
import { passtEnvironment } from "../support/lab.ts";

const MIB = 1024 * 1024;

Deno.test("what is changed of a card's devices reaches its Linux within a moment", async (t) => {
  const environment = await passtEnvironment();
  if (environment) Deno.env.set("PATH", environment["PATH"]!);
  await using lab = await HotLab.start({
    disks: ["FOLDER/disk.img"],
    net: environment ? "passt" : "none",
  });
  await t.step("its disk grows, and is swapped for another one as it writes", () => changes(lab));
  await t.step("a disk comes and goes, also as it is read", () => comesAndGoes(lab));
  if (environment) await t.step("the carrier of its network goes and comes", () => carrier(lab));
  assertEquals(await lab.run("dmesg | grep -E 'blocked for|BUG:|Oops|Call Trace' || true"), "");
  assertEquals(lab.reports, []);
});

async function changes(lab: HotLab): Promise<void> {
  const { lent } = lab.card;
  const disk = `${lab.folder}/disk.img`;
  const other = `${lab.folder}/other.img`;

  const grown = await lab.seen(
    "[ $(cat /sys/block/vdb/size) = 65536 ]",
    () => lent.resizeDisk("disk1", 32 * MIB),
  );
  console.error(`Linux saw its disk grow after ${grown} ms`);
  assertEquals((await Deno.stat(disk)).size, 32 * MIB);
  assertEquals((await lab.run("lsblk -bno SIZE /dev/vdb")).trim(), String(32 * MIB));
  await assertRejects(() => lent.resizeDisk("disk1", 16 * MIB), BackendError, "would be fewer");

  // A copy of what is there now is what it goes on with; what is written as it is swapped is on one of the two.
  await lab.run(
    "dd if=/dev/zero bs=1M count=1 2>/dev/null | tr '\\0' a | dd of=/dev/vdb bs=1M 2>/dev/null; sync",
  );
  await Deno.copyFile(disk, other);
  await Deno.truncate(other, 48 * MIB);
  const writes = lab.run(
    "i=0; while [ $(cat /sys/block/vdb/size) != 98304 ]; do i=$((i+1)); " +
      "dd if=/dev/zero of=/dev/vdb bs=64k seek=100 count=20 oflag=direct 2>&1 >/dev/null | " +
      "grep -i error; done; dd if=/dev/vdb bs=1M count=1 2>/dev/null | tr -d a | wc -c",
  );
  const begun = performance.now();
  await lent.swapDisk("disk1", other, (error) => lab.reports.push(error));
  assertEquals((await writes).trim(), "0");
  console.error(
    `Linux wrote on, on another disk, after ${Math.round(performance.now() - begun)} ms`,
  );
  await lab.run("echo on-the-other | dd of=/dev/vdb conv=notrunc 2>/dev/null; sync");
  const bytes = await Deno.readFile(other);
  assertEquals(new TextDecoder().decode(bytes.subarray(0, 12)), "on-the-other");
  await assertRejects(
    () => lent.swapDisk("disk1", `${lab.folder}/none.img`, () => {}),
    BackendError,
    "no such file",
  );
  await lab.run("dd if=/dev/vdb of=/dev/null bs=1M count=4 2>/dev/null");
  // The old image is closed: another may have it.
  using file = await Deno.open(disk, { read: true, write: true });
  assert(file.tryLockSync(true));
}

async function carrier(lab: HotLab): Promise<void> {
  for (const up of [false, true]) {
    const ms = await lab.seen(
      `[ $(cat /sys/class/net/eth0/carrier) = ${up ? 1 : 0} ]`,
      () => lab.card.lent.setCarrier(up),
    );
    console.error(`Linux saw the carrier ${up ? "come" : "go"} after ${ms} ms`);
  }
}

async function comesAndGoes(lab: HotLab): Promise<void> {
  const { lent } = lab.card;
  // Closed when the disk was swapped.
  const disk = `${lab.folder}/disk.img`;
  const report = (error: unknown) => void lab.reports.push(error);
  const come = async (choice: string) => {
    const ms = await lab.seen("[ -b /dev/vdc ]", async () => {
      assertEquals(await lent.addDisk(choice, report), "disk2");
    });
    console.error(`Linux saw a disk come after ${ms} ms`);
  };
  const go = async (name: string, device: string) => {
    const ms = await lab.seen(`[ ! -e /dev/${device} ]`, () => lent.removeDisk(name));
    console.error(`Linux saw a disk go after ${ms} ms`);
  };
  for (let round = 0; round < 2; round++) {
    await come(disk);
    await lab.run("echo kept | dd of=/dev/vdc bs=4096 seek=100 conv=notrunc 2>/dev/null; sync");
    await go("disk2", "vdc");
    using file = await Deno.open(disk, { read: true, write: true });
    assert(file.tryLockSync(true));
  }
  const bytes = await Deno.readFile(disk);
  assertEquals(new TextDecoder().decode(bytes.subarray(409600, 409604)), "kept");
  // The slot is another disk's now, of another size.
  await come("mem:1M");
  assertEquals((await lab.run("lsblk -bno SIZE /dev/vdc")).trim(), String(MIB));
  // As it reads all the time; and one that it was booted with.
  const reading = lab.run(
    "while dd if=/dev/vdc of=/dev/null bs=64k iflag=direct 2>/dev/null; do :; done; echo over",
  );
  const begun = performance.now();
  await lent.removeDisk("disk2");
  console.error(`Linux let go of a busy disk after ${Math.round(performance.now() - begun)} ms`);
  assertEquals(await reading, "over\n");
  await go("disk1", "vdb");
  await assertRejects(() => lent.removeDisk("disk0"), TypeError, "it cannot be pulled");
  assert(!lent.list.some(({ name }) => name === "disk1" || name === "disk2"));
}
