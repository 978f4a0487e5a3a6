// What Linux wrote to its disk is on the host's image, and there at the next boot.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { digest, Lab, randomBytes, rootDisk, sbin, temporaryFolder } from "../support/lab.ts";
import { missing } from "../support/needs.ts";

const noTools = await missing({ program: "debugfs" }) || await missing({ program: "e2fsck" });

const MIB = 1024 * 1024;

Deno.test({
  name: "64 MiB written in Linux and synced are the same on the host's image and at the next boot",
  ignore: noTools,
}, async () => {
  await using folder = await temporaryFolder();
  const { path } = await rootDisk(folder.path);
  // The bytes come from a second disk: the card's own random numbers cost it half a minute.
  const random = `${folder.path}/random.img`;
  await Deno.writeFile(random, randomBytes(64 * MIB));
  const linux = async (command: string): Promise<string> => {
    const disks = ["--disk", path, "--disk", `${random},readonly`];
    await using lab = await Lab.start({ os: "linux", host: [...disks, "--exec", command] });
    return await lab.result();
  };

  // The card writes, syncs and tells the digest.
  const written = await linux(
    "dd if=/dev/vdb of=/root/big bs=1M 2>/dev/null && sync && sha256sum /root/big",
  );
  assertMatch(written, /^[0-9a-f]{64} {2}\/root\/big\n$/);

  // The host reads the file out of the image, and the file system is clean.
  await sbin("debugfs", "-R", `dump /root/big ${folder.path}/big`, path);
  const file = await Deno.readFile(`${folder.path}/big`);
  assertEquals(file.length, 64 * MIB);
  assertEquals(digest("sha256", file), written.slice(0, 64));
  await sbin("e2fsck", "-fn", path);

  // The next boot finds it; what that gives back is a hole in the image. MD5, because SHA-256 takes the card three
  // times as long.
  const before = await allocated(path);
  const found = await linux("md5sum /root/big && rm /root/big && sync && fstrim -v /");
  assertEquals(found.split("\n")[0], `${digest("md5", file)}  /root/big`);
  assertMatch(found, /\n\/: \d+ bytes trimmed\n$/);
  const freed = before - await allocated(path);
  assert(freed > 60 * MIB, `${freed} bytes were freed`);
  await sbin("e2fsck", "-fn", path);
});

async function allocated(path: string): Promise<number> {
  return (await Deno.stat(path)).blocks! * 512;
}
