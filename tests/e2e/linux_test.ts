// Linux on the card as a user of `demo --exec` sees it.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Lab, passtEnvironment, rootDisk, temporaryFolder } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";

const withNet = await passtEnvironment() !== undefined;

const SCRIPT = `
section() { printf '== %s\\n' "$1"; }
uname -r
echo 'to stderr' >&2
section mounts; cat /proc/mounts
section devices; ls /sys/bus/virtio/devices
section lspci; lspci
section interrupts; grep virtio /proc/interrupts
dd if=/dev/vda of=/dev/null bs=4k count=64 iflag=direct 2>/dev/null
gateway=$(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p')
[ -n "$gateway" ] && ping -c 2 -A -q "$gateway" >/dev/null
section later; grep virtio /proc/interrupts
section end; printf 'no newline'
exit 42
`;

Deno.test("demo --exec boots the Debian kernel with root on the virtio disk, and is the command to its caller", async () => {
  await using folder = await temporaryFolder();
  const { path, manifest } = await rootDisk(folder.path);
  await using demo = await LabProcess.start("demo", ["--disk", path, "--exec", SCRIPT]);
  assertEquals(await demo.ended, 42, demo.transcript());
  const sections = new Map(
    `== kernel\n${demo.stdout}`.split(/^== /m).slice(1).map((text) => {
      const end = text.indexOf("\n");
      return [text.slice(0, end), text.slice(end + 1)];
    }),
  );

  // From the first byte to the last, stdout is the command's.
  assertEquals(sections.get("kernel"), `${manifest.kernel}\n`);
  assertEquals(sections.get("end"), "no newline");
  assertEquals(demo.lines.filter((line) => line === "to stderr").length, 1);

  assertMatch(sections.get("mounts")!, /^\/dev\/(vda|root) \/ ext4 rw/m);
  const names = withNet ? ["virtio0", "virtio1", "virtio2"] : ["virtio0", "virtio1"];
  assertEquals(sections.get("devices")!.trim().split(/\s+/), names);
  const lspci = sections.get("lspci")!;
  assertStringIncludes(lspci, "Virtio 1.0 block device");
  assertStringIncludes(lspci, "Virtio 1.0 console");
  if (withNet) assertStringIncludes(lspci, "Virtio 1.0 network device");

  const before = interrupts(sections.get("interrupts")!);
  const after = interrupts(sections.get("later")!);
  assertEquals([...before.keys()].sort(), names);
  for (const name of names) {
    assert(
      after.get(name)! > before.get(name)!,
      `${name}: ${before.get(name)} then ${after.get(name)}`,
    );
  }
  // 64 direct reads of 4 KiB, one after the other: an interrupt each.
  assert(after.get("virtio0")! - before.get("virtio0")! >= 64);
});

Deno.test("host --exec ends with status 0 when its command restarts Linux, here on 64 MiB", async () => {
  await using folder = await temporaryFolder();
  const { path } = await rootDisk(folder.path);
  const host = ["--disk", path, "--exec", "reboot; sleep 1000"];
  await using lab = await Lab.start({ os: "linux", host, card: ["--memory", "64"] });
  await lab.result(0);
});

/** Counts by device from lines of /proc/interrupts. */
function interrupts(text: string): Map<string, number> {
  return new Map(
    text.trim().split("\n").map((line) => {
      const [, count, , ...names] = line.trim().split(/\s+/);
      return [names.join(" "), Number(count)];
    }),
  );
}
