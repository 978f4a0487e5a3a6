// A card whose disk is on another machine: an NBD server's export, behind the host.
import { assertEquals } from "@std/assert";
import { digest, Lab, randomBytes, temporaryFolder } from "../support/lab.ts";
import { NbdProcess } from "../support/nbd_process.ts";
import { missing } from "../support/needs.ts";

const MIB = 1024 * 1024;

Deno.test({
  name: "diag reads and writes an NBD export, and the server's image has it",
  ignore: await missing({ program: "nbdkit" }),
}, async () => {
  await using folder = await temporaryFolder();
  const image = `${folder.path}/disk.img`;
  const random = randomBytes(MIB);
  const contents = new Uint8Array(4 * MIB);
  contents.set(random);
  await Deno.writeFile(image, contents);
  await using server = NbdProcess.nbdkit(folder.path, "file", image);
  await server.ready();
  const command = "dd if=vda of=vda bs=64k count=16 seek=32 conv=fsync; sha256 vda length=4M";
  await using lab = await Lab.start({
    os: "diag",
    host: ["--disk", server.uri, "--exec", command],
  });
  const lines = (await lab.result()).trim().split("\n");
  contents.set(random, 2 * MIB);
  assertEquals(lines.at(-1), `${digest("sha256", contents)}  vda`);
  assertEquals(digest("sha256", await Deno.readFile(image)), digest("sha256", contents));
});
