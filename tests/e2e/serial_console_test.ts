// What Linux writes on its first serial port, seen where its console is: from the first byte of each boot, by who comes
// late, and with its last words.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Ctl } from "../support/ctl.ts";
import { HostRestarts } from "../support/host_restarts.ts";
import { Lab, rootDisk, temporaryFolder } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";

/** Lines of a kernel in a log, without the time that the console's log puts before each. */
function kernelLines(log: string): string[] {
  return log.split("\n").map((line) => line.replace(/^\S+Z /, "")).filter((line) =>
    /^\[ *\d+\.\d{6}\] /.test(line)
  );
}

Deno.test("Linux's kernel log is on its console: for who comes late, of two boots, in their logs, and at a panic", async () => {
  await using folder = await temporaryFolder();
  const ctl = new Ctl(`${folder.path}/host.sock`);
  const { path } = await rootDisk(folder.path);
  const config = `${folder.path}/knightsbridge.jsonc`;
  const cards = { mic0: { os: "linux", disks: [path], console: [`log:${folder.path}/log`] } };
  await Deno.writeTextFile(config, JSON.stringify({ state: `${folder.path}/state`, cards }));
  await using _lab = await Lab.start({
    os: "linux",
    host: ["--config", config, "--control", ctl.control],
    limit: 240_000,
  });
  const scrollback = () =>
    LabProcess.start("ctl", [
      ...["--control", ctl.control, "console", "mic0"],
      ...["--read-only", "--scrollback", "262144"],
    ]);
  await ctl.says(0, "wait", "mic0", "--state", "online");
  await using late = await scrollback();
  await late.output(
    /^\r\n\[knightsbridge: boot 1 of mic0 begins, [^\n]*\n\[ +0\.000000\] Linux version 6/,
  );
  await late.output(/root@mic0:~# /);

  await ctl.run("exec", "mic0", "echo c > /proc/sysrq-trigger");
  await late.output(/\[[^\n]* Kernel panic - not syncing: sysrq triggered crash\r\n/);
  assertMatch(await ctl.says(0, "wait", "--state", "ready"), /^mic0: ready \(crashed\)\n/);
  const { kernelLog } = JSON.parse(await ctl.says(0, "log", "--json")).mic0;
  assertMatch(kernelLog, /^\[ +0\.000000\] Linux version/, "nothing of it is gone");

  assertEquals(await ctl.says(0, "boot", "mic0", "--wait"), "mic0: online\n");
  await ctl.says(0, "exec", "mic0", "true");
  await using later = await scrollback();
  await later.output(
    /^\r\n.knightsbridge: boot 1 of[^]*Linux version[^]*Kernel panic[^]*boot 2 of mic0 begins, [^\n]*\n\[ +0\.000000\] Linux version/,
  );
  // The log of each boot has all that its kernel said, in order and once; the file has that of both.
  const first = kernelLines(await ctl.says(0, "log", "mic0", "--console", "--boot", "1"));
  assertEquals(first, kernelLines(kernelLog));
  const second = kernelLines(await ctl.says(0, "log", "mic0", "--console"));
  assertMatch(second[0]!, /^\[ +0\.000000\] Linux version/);
  assert(!second.some((line) => line.includes("Kernel panic")));
  assertEquals(second.filter((line) => line.includes("] Linux version")).length, 1);
  const file = (await Deno.readTextFile(`${folder.path}/log`)).replaceAll("\r\n", "\n");
  assertEquals(kernelLines(file).slice(0, first.length), first);
});

Deno.test("a host that is killed leaves what Linux says to the next, and no line comes twice", async () => {
  await using folder = await temporaryFolder();
  const ctl = new Ctl(`${folder.path}/host.sock`);
  const { path } = await rootDisk(folder.path);
  const config = `${folder.path}/knightsbridge.jsonc`;
  const cards = { mic0: { os: "linux", disks: [path], console: ["none"] } };
  await Deno.writeTextFile(config, JSON.stringify({ state: `${folder.path}/state`, cards }));
  await using hosts = await HostRestarts.start({
    os: "linux",
    host: ["--config", config, "--control", ctl.control],
    limit: 240_000,
  });
  await ctl.says(0, "wait", "mic0", "--state", "online");
  const loop = "i=0; while :; do i=$((i+1)); echo tick $i; usleep 5000; done";
  await ctl.says(0, "exec", "mic0", `(${loop}) </dev/null >/dev/ttyS0 2>&1 & echo`);
  const log = () => ctl.says(0, "log", "mic0", "--console");
  const ticks = (text: string) => [...text.matchAll(/Z tick (\d+)\n/g)].map(([, n]) => Number(n));
  for (let kills = 0; kills < 3; kills++) {
    const before = ticks(await log()).length;
    while (ticks(await log()).length < before + 50);
    await hosts.kill();
    // Meanwhile it says things that nobody hears yet.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await hosts.startHost();
    await ctl.says(0, "wait", "mic0", "--state", "online");
  }
  const seen = ticks(await log());
  // What a host had shown, and not yet written down, died with it: a piece or two, never what came after.
  const missing = seen.at(-1)! - seen.length;
  console.error(`of ${seen.at(-1)} lines ${missing} died with three hosts`);
  assertEquals(seen, [...new Set(seen)].sort((a, b) => a - b));
  assert(missing < 60, `${missing} lines are missing`);
  assertEquals(hosts.adoptions, 3);
  assertEquals(kernelLines(await log()).filter((line) => line.includes("Linux version")).length, 1);
});
