// A connection that is cut again and again: the card's OS sees nothing but a pause.
import { assert, assertEquals } from "@std/assert";
import { resumptions } from "../support/host_restarts.ts";
import {
  digest,
  emptyDisk,
  Lab,
  type LabOptions,
  randomBytes,
  rootDisk,
  temporaryFolder,
} from "../support/lab.ts";
import { pairedEnvironment } from "../support/paired.ts";
import { type Direction, Proxy } from "../support/proxy.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

interface ProxiedLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly proxy: Proxy;
}

/** A lab whose card is behind a proxy, 1 ms each way: whenever it cuts, something is on the way. */
async function proxied(options: LabOptions): Promise<ProxiedLab> {
  await using starting = new AsyncDisposableStack();
  const made = Promise.withResolvers<Proxy>();
  const via = async (port: number) => {
    const proxy = starting.use(await Proxy.start(port, { delay: 1 }));
    made.resolve(proxy);
    return proxy.port;
  };
  const lab = starting.use(await Lab.start({ ...options, via }));
  const stack = starting.move();
  return { lab, proxy: await made.promise, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Cuts in turn, each when so many more bytes have gone in `direction`. */
async function cuts(
  { lab, proxy }: ProxiedLab,
  direction: Direction,
  ...distances: readonly number[]
): Promise<void> {
  for (const bytes of distances) {
    const cut = proxy.cutAfter(direction, bytes).then(() => true);
    assert(await Promise.race([cut, lab.host.ended.then(() => false)]), lab.host.transcript());
  }
}

for (const link of ["link", "encrypted link"]) {
  Deno.test(`diag's disk loses and changes nothing while its ${link} is cut at any byte`, async () => {
    await using folder = await temporaryFolder();
    const disk = await emptyDisk(folder.path, 32);
    const content = randomBytes(8 * MIB);
    await Deno.writeFile(disk, content);
    await Deno.truncate(disk, 32 * MIB);
    const command = [
      "sha256 vda length=8M",
      "dd if=vda of=vda bs=64k count=128 seek=128 conv=fsync",
      "sha256 vda offset=8M length=8M",
    ].join(" && ");
    const security = link === "link" ? [] : ["--secure"];
    await using run = await proxied({
      os: "diag",
      host: ["--disk", disk, "--exec", command, ...security],
      card: security,
      env: await pairedEnvironment(folder.path),
    });
    // 8 MiB are read, read again and written, and read once more; cuts fall into each of them.
    await cuts(run, "hostToCard", 1 * MIB, 3 * MIB + 1, 3 * MIB + 17);
    await cuts(run, "cardToHost", 1 * MIB, 1 * MIB + 1);
    // This time nobody answers at once.
    const refused = run.proxy.refuse(2);
    await cuts(run, "cardToHost", 2 * MIB + 3);
    await refused;
    await cuts(run, "hostToCard", 2 * MIB, 3 * MIB, 1 * MIB + 100_003);

    const wanted = digest("sha256", content);
    assertEquals(await run.lab.result(), `${wanted}  vda\n${wanted}  vda\n`);
    const written = await Deno.readFile(disk);
    assertEquals(digest("sha256", written.subarray(8 * MIB, 16 * MIB)), wanted);
    assertEquals(resumptions(run.lab.host.events), 9);
  });
}

Deno.test("Linux boots and works while its link is cut at any byte", async () => {
  await using folder = await temporaryFolder();
  const { path } = await rootDisk(folder.path);
  const content = randomBytes(4 * MIB);
  const random = `${folder.path}/random.img`;
  await Deno.writeFile(random, content);
  const command = [
    "dd if=/dev/vdb of=/tmp/part bs=64k iflag=direct 2>/dev/null",
    "sha256sum </tmp/part",
    "dmesg | grep -i -e 'i/o error' -e 'hung' -e 'needs.reset' -e 'ext4-fs error'",
    "true",
  ].join("; ");
  const disks = ["--disk", path, "--disk", random];
  await using run = await proxied({ os: "linux", host: [...disks, "--exec", command] });
  // In the download of the kernel and of the initial file system; where the OS begins to look at its disk; in what it
  // reads from there on.
  await cuts(run, "hostToCard", 100_001, 5 * MIB, 10 * MIB, 3 * MIB + MIB / 2);
  await cuts(run, "hostToCard", 400 * KIB, 100 * KIB + 1, 200 * KIB, 1 * MIB, 1 * MIB, 1 * MIB);
  assertEquals(await run.lab.result(), `${digest("sha256", content)}  -\n`);
  assertEquals(resumptions(run.lab.host.events), 10);
});
