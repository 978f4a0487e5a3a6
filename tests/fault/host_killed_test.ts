// A host process that is killed and started again: the card's OS sees nothing but a pause.
import { assertEquals, assertMatch } from "@std/assert";
import { HostRestarts } from "../support/host_restarts.ts";
import {
  digest,
  emptyDisk,
  passtEnvironment,
  randomBytes,
  rootDisk,
  temporaryFolder,
} from "../support/lab.ts";
import { pairedEnvironment } from "../support/paired.ts";

const MIB = 1024 * 1024;

/** Resolves after `ms`: a kill falls wherever the work is by then. */
const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

Deno.test("diag's disk loses and changes nothing while its host is killed and started again", async () => {
  await using folder = await temporaryFolder();
  const disk = await emptyDisk(folder.path, 32);
  const content = randomBytes(8 * MIB);
  await Deno.writeFile(disk, content);
  await Deno.truncate(disk, 32 * MIB);
  // One sector at a time: it takes a while.
  const command = [
    "sha256 vda length=64k",
    "dd if=vda of=vda bs=512 count=16384 seek=16384 conv=fsync",
    "dd if=vda of=vda bs=512 count=16384 skip=16384 seek=32768 conv=fsync",
  ].join(" && ");
  await using run = await HostRestarts.start({
    os: "diag",
    host: ["--disk", disk],
    first: ["--exec", command],
  });
  await run.host.output(/ {2}vda\n/);
  for (const ms of [20, 300, 0, 1000, 100]) {
    await later(ms);
    await run.killHost();
  }
  // The command of the first host comes to its end, unheard: the next one waits for it.
  await run.killHost(["--exec", "sha256 vda offset=16M length=8M"]);
  const wanted = digest("sha256", content);
  assertEquals(await run.result(), `${wanted}  vda\n`);
  const written = await Deno.readFile(disk);
  assertEquals(digest("sha256", written.subarray(8 * MIB, 16 * MIB)), wanted);
  assertEquals(digest("sha256", written.subarray(16 * MIB, 24 * MIB)), wanted);
  assertEquals(run.boots, 1);
  assertEquals(run.adoptions, 6);
});

Deno.test("Linux works on while its host is killed and started again", async () => {
  await using folder = await temporaryFolder();
  const { path } = await rootDisk(folder.path);
  const content = randomBytes(4 * MIB);
  const random = `${folder.path}/random.img`;
  await Deno.writeFile(random, content);
  // Reads, writes and syncs, over and over, and says so when a copy is not what it was.
  const work = [
    "echo begun; for i in 1 2 3; do",
    "dd if=/dev/vdb of=/root/copy$i bs=64k iflag=direct conv=fsync 2>>/root/errors;",
    "echo 3 >/proc/sys/vm/drop_caches; sha256sum </root/copy$i >>/root/sums; sync; done",
  ].join(" ");
  const disks = ["--disk", path, "--disk", random];
  await using run = await HostRestarts.start({
    os: "linux",
    host: disks,
    first: ["--exec", work],
  });
  await run.host.output(/begun/);
  for (const ms of [2500, 500, 1500]) {
    await later(ms);
    await run.killHost();
  }
  const command = [
    "sort /root/sums | uniq -c",
    "grep -v records /root/errors | grep -v copied",
    "dmesg | grep -i -e 'i/o error' -e 'hung' -e 'needs.reset' -e 'ext4-fs error'",
    "true",
  ].join("; ");
  await run.killHost(["--exec", command]);
  assertMatch(await run.result(), new RegExp(`^ *3 ${digest("sha256", content)}  -\n$`));
  assertEquals(run.boots, 1);
  assertEquals(run.adoptions, 4);
});

Deno.test("a card adopted over TLS knows its next host by the same identity, and works on", async () => {
  await using folder = await temporaryFolder();
  const disk = await emptyDisk(folder.path, 8);
  const content = randomBytes(2 * MIB);
  await Deno.writeFile(disk, content);
  await Deno.truncate(disk, 8 * MIB);
  const copy = "dd if=vda of=vda bs=512 count=4096 seek=4096 conv=fsync";
  await using run = await HostRestarts.start({
    os: "diag",
    host: ["--disk", disk, "--secure"],
    card: ["--secure"],
    first: ["--exec", `sha256 vda length=64k && ${copy}`],
    env: await pairedEnvironment(folder.path),
  });
  await run.host.output(/ {2}vda\n/);
  for (const ms of [50, 200]) {
    await later(ms);
    await run.killHost();
  }
  await run.killHost(["--exec", "sha256 vda offset=2M length=2M"]);
  assertMatch(await run.result(), new RegExp(`${digest("sha256", content)}  vda\n$`));
  assertEquals(run.boots, 1);
  assertEquals(run.adoptions, 3);
});

const passt = await passtEnvironment();

Deno.test({
  name: "a card's network lives on passt again after its host was killed, and another host's passt",
  ignore: passt === undefined,
}, async () => {
  await using run = await HostRestarts.start({
    os: "diag",
    host: ["--net", "passt", "--disk", "mem:1M"],
    first: ["--exec", "ip; bench vda seconds=2"],
    env: passt!,
  });
  const [, address, gateway] = await run.host.output(
    /eth0: up .* inet ([\d.]+)\/\d+ via ([\d.]+)/,
  );
  await run.killHost();
  await run.killHost(["--exec", `ping -c 3 ${gateway}; ip`]);
  const output = await run.result();
  assertMatch(output, /3 sent, 3 received, 0% lost/);
  // It was not configured anew: the card OS has not noticed.
  assertMatch(output, new RegExp(`inet ${address!.replaceAll(".", "\\.")}/`));
  assertEquals(run.boots, 1);
});
