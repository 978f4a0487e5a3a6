// The diagnostic OS across two processes: what Linux adds nothing to.
import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  digest,
  emptyDisk,
  isState,
  Lab,
  passtEnvironment,
  randomBytes,
  temporaryFolder,
} from "../support/lab.ts";
import { hasSs } from "../support/needs.ts";
import type { LabEvent } from "../support/lab_process.ts";

const passt = await passtEnvironment();
/** Digest of 4 MiB of zeros. */
const ZEROS = "bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8";

Deno.test("diag lists the virtio functions, and what it wrote is what the host's image has", async () => {
  await using folder = await temporaryFolder();
  const disk = await emptyDisk(folder.path);
  const random = randomBytes(65_536);
  await writeAt(disk, 8 << 20, random);
  const command = [
    "lspci",
    "sha256 vda length=4M",
    // 64 KiB of the host's go through the card, in pieces, to another place.
    "dd if=vda of=vda bs=4k count=16 skip=2048 seek=4096 conv=fsync",
    "sha256 vda offset=16M length=64k",
  ].join("; ");
  await using lab = await Lab.start({ os: "diag", host: ["--disk", disk, "--exec", command] });
  const lines = (await lab.result()).trim().split("\n");
  assertMatch(
    lines[0]!,
    /^00:0\d\.0 SCSI storage controller \[0100\]: Virtio block device \[1af4:1042\]/,
  );
  assertMatch(lines[1]!, /Virtio console \[1af4:1043\]/);
  assertEquals(lines[2], `${ZEROS}  vda`);
  assertEquals(lines[3], `${digest("sha256", random)}  vda`);
  assertEquals(await readAt(disk, 16 << 20, random.length), random);
});

Deno.test({
  name: "a host process has its card's socket in its own hands: it is not paced on loopback",
  ignore: !await hasSs(),
}, async () => {
  await using lab = await Lab.start({ os: "diag" });
  await lab.online();
  const { port } = await lab.host.event(({ type }) => type === "listening");
  const { stdout } = await new Deno.Command("ss", {
    args: ["-Htni", "state", "established", "sport", "=", `:${port}`],
  }).output();
  assertMatch(new TextDecoder().decode(stdout), / reno /);
});

Deno.test({
  name: "diag gets an address from passt and pings its gateway",
  ignore: passt === undefined,
}, async () => {
  await using lab = await Lab.start({
    os: "diag",
    env: passt!,
    host: ["--net", "passt", "--exec", "ip; cat netdev"],
  });
  const output = await lab.result();
  const [, gateway] = /eth0: up .* inet [\d.]+\/\d+ via ([\d.]+)/.exec(output) ?? [];
  assert(gateway !== undefined, output);
  await using again = await Lab.start({
    os: "diag",
    env: passt!,
    host: ["--net", "passt", "--exec", `ping -c 2 ${gateway}`],
  });
  assertMatch(await again.result(), /2 sent, 2 received, 0% lost/);
});

Deno.test("diag restarts when asked, powers off when asked, and the host ends with status 0", async () => {
  await using lab = await Lab.start({ os: "diag", host: ["--console", "stdio"] });
  await lab.host.output(/try help\s+[^\n]*$/);
  await lab.host.type("reboot\r");
  await lab.host.output(/try help[^]*try help\s+[^\n]*$/);
  assertEquals(lab.host.events.filter(isState("online")).length, 2);
  await lab.host.type("poweroff\r");
  await lab.result(0);
  assertEquals(stopReason(lab.host.events), "poweroff");
});

Deno.test("diag powers off from a command, and the host ends with status 0", async () => {
  await using lab = await Lab.start({ os: "diag", host: ["--exec", "poweroff"] });
  await lab.result(0);
});

Deno.test("diag crashes, and the host ends with status 5", async () => {
  await using lab = await Lab.start({ os: "diag", host: ["--exec", "crash"] });
  await lab.result(5);
  assertEquals(stopReason(lab.host.events), "crashed");
});

const stopReason = (events: readonly LabEvent[]) =>
  events.find(({ type }) => type === "stopped")?.["reason"];

async function writeAt(path: string, at: number, bytes: Uint8Array): Promise<void> {
  using file = await Deno.open(path, { write: true });
  await file.seek(at, Deno.SeekMode.Start);
  await file.write(bytes);
}

async function readAt(path: string, at: number, length: number): Promise<Uint8Array> {
  using file = await Deno.open(path);
  await file.seek(at, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  await file.read(bytes);
  return bytes;
}
