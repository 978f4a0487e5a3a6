// A card whose disk is on another machine: an NBD server's export, behind the host, in the clear and over TLS.
import { assertEquals } from "@std/assert";
import { makeAuthority, makeCertificate } from "../support/certificates.ts";
import { digest, Lab, randomBytes, temporaryFolder } from "../support/lab.ts";
import { NbdProcess } from "../support/nbd_process.ts";
import { missing } from "../support/needs.ts";

const noNbdkit = await missing({ program: "nbdkit" });
const noTls = noNbdkit || await missing({ program: "openssl" });

const MIB = 1024 * 1024;

for (const [scheme, ignore] of [["nbd", noNbdkit], ["nbds", noTls]] as const) {
  Deno.test({
    name: `diag reads and writes an export by ${scheme}, and the server's image has it`,
    ignore,
  }, async () => {
    await using folder = await temporaryFolder();
    const at = (name: string) => `${folder.path}/${name}`;
    const random = randomBytes(MIB);
    const contents = new Uint8Array(4 * MIB);
    contents.set(random);
    await Deno.writeFile(at("disk.img"), contents);
    let uri = `${scheme}+unix:///?socket=${at("nbd.sock")}`;
    const words = ["nbdkit", "-f", "-U", at("nbd.sock"), "file", at("disk.img")];
    if (scheme === "nbds") {
      await makeAuthority(at("pki"));
      await makeCertificate(at("pki"), "server", "DNS:localhost");
      words.push("--tls=require", `--tls-certificates=${at("pki")}`);
      uri += `&tls-certificates=${at("pki")}`;
    }
    await using server = NbdProcess.start(uri, ...words);
    await server.ready();
    const command = "dd if=vda of=vda bs=64k count=16 seek=32 conv=fsync; sha256 vda length=4M";
    await using lab = await Lab.start({
      os: "diag",
      host: ["--disk", server.uri, "--exec", command],
    });
    const lines = (await lab.result()).trim().split("\n");
    contents.set(random, 2 * MIB);
    assertEquals(lines.at(-1), `${digest("sha256", contents)}  vda`);
    assertEquals(digest("sha256", await Deno.readFile(at("disk.img"))), digest("sha256", contents));
  });
}
