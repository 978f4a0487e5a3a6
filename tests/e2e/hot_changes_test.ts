// What an operator changes while a Linux card runs reaches it.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { BackendError } from "../../protocol/mod.ts";
import { HotLab } from "../support/hot_lab.ts";
import { emptyDisk, passtEnvironment, temporaryFolder } from "../support/lab.ts";

const MIB = 1024 * 1024;

Deno.test("Linux sees its disk grow, and be swapped for another one as it writes, within a moment", async () => {
  await using folder = await temporaryFolder();
  const disk = await emptyDisk(folder.path, 16);
  const other = `${folder.path}/other.img`;
  await using lab = await HotLab.start({ disks: [disk] });
  const { lent } = lab.card;

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
    "dd if=/dev/zero bs=1M count=4 2>/dev/null | tr '\\0' a | dd of=/dev/vdb bs=1M 2>/dev/null; sync",
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
    () => lent.swapDisk("disk1", `${folder.path}/none.img`, () => {}),
    BackendError,
    "no such file",
  );
  await lab.run("dd if=/dev/vdb of=/dev/null bs=1M count=4 2>/dev/null");
  // The old image is closed: another may have it.
  using file = await Deno.open(disk, { read: true, write: true });
  assert(file.tryLockSync(true));
  assertEquals(lab.reports, []);
});

Deno.test("Linux sees the carrier of its network go and come", async () => {
  const environment = await passtEnvironment();
  if (environment === undefined) return;
  Deno.env.set("PATH", environment["PATH"]!);
  await using lab = await HotLab.start({ net: "passt" });
  const { lent } = lab.card;
  const eth0 = "/sys/class/net/eth0";
  for (const up of [false, true]) {
    const ms = await lab.seen(
      `[ $(cat ${eth0}/carrier) = ${up ? 1 : 0} ]`,
      () => lent.setCarrier(up),
    );
    console.error(`Linux saw the carrier ${up ? "come" : "go"} after ${ms} ms`);
  }
});
