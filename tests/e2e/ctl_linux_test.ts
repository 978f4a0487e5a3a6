// Linux on a card, driven with ctl and nothing else: a file outlives a suspension, and a panic leaves its words.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Ctl } from "../support/ctl.ts";
import { Lab, rootDisk, temporaryFolder } from "../support/lab.ts";

Deno.test("Linux is suspended and resumed by ctl, its file is there, and its panic is kept", async () => {
  await using folder = await temporaryFolder();
  const ctl = new Ctl(`${folder.path}/host.sock`);
  const { path } = await rootDisk(folder.path);
  const host = ["--disk", path, "--console", "none", "--control", ctl.control];
  await using _lab = await Lab.start({ os: "linux", host, limit: 240_000 });
  assertEquals(await ctl.says(0, "wait", "mic0", "--state", "online"), "mic0: online\n");
  await ctl.says(0, "exec", "mic0", "echo kept > /root/note");

  // online, suspending, suspended, ready, booting, online
  assertMatch(await ctl.says(0, "suspend", "--wait"), /^mic0: suspended \(poweroff\)\n/);
  assertMatch(await ctl.says(0, "why"), /suspended/);
  assertEquals(await ctl.says(0, "resume", "--wait"), "mic0: online\n");
  assertEquals(await ctl.says(0, "exec", "mic0", "cat /root/note"), "kept\n");
  assertMatch(await ctl.says(0, "check"), /^(mic0 \d\. pass .*\n){8}$/);

  // online, shutting_down, resetting, ready: by a panic
  await ctl.run("exec", "mic0", "echo c > /proc/sysrq-trigger");
  assertMatch(await ctl.says(0, "wait", "--state", "ready"), /^mic0: ready \(crashed\)\n/);
  assertStringIncludes(
    await ctl.says(0, "log"),
    "Kernel panic - not syncing: sysrq triggered crash",
  );
  assertMatch(await ctl.says(0, "why"), /crashed/);
});
