// A host and its card, driven with ctl and nothing else: every transition of the table of states that commands reach.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Ctl } from "../support/ctl.ts";
import { Lab, temporaryFolder } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";

/** A host that has a card of the diagnostic OS, and a ctl for it. */
async function start(folder: string) {
  const ctl = new Ctl(`${folder}/host.sock`);
  const host = ["--disk", "mem:16M", "--console", "none", "--control", ctl.control];
  const lab = await Lab.start({ os: "diag", host });
  return { ctl, lab };
}

/** Less than the time after which a process of a lab is ended anyway, ms. */
const PATIENCE = 60_000;

Deno.test("ctl drives a card through its states, and every verb says what is", async () => {
  await using folder = await temporaryFolder();
  const { ctl, lab } = await start(folder.path);
  await using _lab = lab;
  assertEquals(await ctl.says(0, "wait", "--state", "online"), "mic0: online\n");
  assertMatch(
    await ctl.says(0, "-s"),
    /^CARD +STATE .*\nmic0 +online +\d+s +1 +0 +FF +up +diag +128 MiB +127/,
  );
  assertMatch(await ctl.says(0, "why"), /mic0 is online/);
  assertMatch(await ctl.says(0, "check", "mic0"), /^(mic0 \d\. pass .*\n){8}$/);
  assertStringIncludes(await ctl.says(0, "info"), "FLUSH          the card OS can have");
  assertMatch(await ctl.says(0, "lspci", "--hex"), /\[8086:225c\][^]*\n00: 86 80 5c 22/);
  assertMatch(await ctl.says(0, "log"), /boot 1, diag[^]* bootstrap: [^]* online\n/);
  assertMatch(await ctl.says(0, "postcode"), /mic0 +\d\d:\d\d:\d\d\.\d{3} +FF\n$/);
  assertMatch(await ctl.says(0, "stats"), /mic0 link\n +framesSent: +\d+\n/);

  // online, shutting_down, resetting, ready
  assertEquals(await ctl.says(0, "-S", "--wait"), "mic0: ready (poweroff)\n");
  assertMatch(await ctl.says(6, "shutdown"), /it is ready, wanted online/);
  // ready, booting, online
  assertEquals(await ctl.says(0, "-b", "mic0", "--wait"), "mic0: online\n");
  assertMatch(await ctl.says(6, "boot"), /it is online, wanted ready/);
  // online, resetting, ready
  assertEquals(await ctl.says(0, "-r", "--wait"), "mic0: ready\n");
  assertEquals(await ctl.says(0, "-w"), "mic0: ready\n");
  // ready, suspended, ready: nothing ran, nothing is booted
  assertEquals(await ctl.says(0, "suspend", "--wait"), "mic0: suspended\n");
  assertMatch(await ctl.says(6, "boot"), /it is suspended, wanted ready/);
  assertEquals(await ctl.says(0, "resume", "--wait"), "mic0: ready\n");
  // online, suspending, suspended; then ready, booting, online: what ran is booted
  await ctl.says(0, "boot", "--wait");
  assertMatch(await ctl.says(0, "suspend", "--wait"), /^mic0: suspended/);
  assertEquals(await ctl.says(0, "resume", "--wait"), "mic0: online\n");
  // suspended, resetting, ready
  await ctl.says(0, "suspend", "--wait");
  assertMatch(await ctl.says(0, "reset", "--wait"), /^mic0: ready/);

  // A crash of its own, and what is told of it.
  await ctl.says(0, "boot", "--wait");
  await ctl.says(6, "exec", "mic0", "crash");
  assertMatch(await ctl.says(0, "wait", "--state", "ready"), /^mic0: ready \(crashed\)\n/);
  assertMatch(await ctl.says(6, "check"), /4\. FAIL[^]*8\. skip/);
  assertMatch(await ctl.says(0, "why"), /crashed/);
  const [{ crashCount, boot }] = await ctl.json("status");
  assertEquals([crashCount, boot], [1, 5]);
  assertEquals((await ctl.json("log", "--boots"))["mic0"].length, 5);
});

Deno.test("ctl exec passes output and status on, and ends with its card OS", async () => {
  await using folder = await temporaryFolder();
  const { ctl, lab } = await start(folder.path);
  await using _lab = lab;
  await ctl.says(0, "wait", "mic0", "--state", "online");
  assertEquals(await ctl.run("exec", "mic0", "echo", "one", "two"), {
    status: 0,
    stdout: "one two\n",
    stderr: "",
  });
  const failed = await ctl.run("exec", "mic0", "nonsense");
  assertEquals([failed.status, failed.stdout], [127, ""]);
  assertStringIncludes(failed.stderr, "not found");
  const long = await ctl.run("exec", "mic0", "seq 20000");
  assertEquals(long.stdout.split("\n").length, 20_001);
  assertMatch(await ctl.says(6, "exec", "mic0", "crash"), /the card OS .*has stopped/);
});

Deno.test("ctl disk and ctl net change what a card has, while it runs, and say what cannot be", async () => {
  await using folder = await temporaryFolder();
  const ctl = new Ctl(`${folder.path}/host.sock`);
  const [one, two] = [`${folder.path}/one.img`, `${folder.path}/two.img`];
  for (const path of [one, two]) {
    await Deno.writeFile(path, new Uint8Array(0));
    await Deno.truncate(path, 4 << 20);
  }
  const host = ["--disk", one, "--console", "none", "--control", ctl.control];
  await using _lab = await Lab.start({ os: "diag", host });
  await ctl.says(0, "wait", "mic0", "--state", "online");
  assertMatch(await ctl.says(0, "disk", "resize", "mic0", "disk0", "8M"), /one\.img, 8 MiB\n$/);
  assertMatch(
    await ctl.says(2, "disk", "resize", "mic0", "disk0", "7"),
    /^ctl: Cannot use the body/,
  );
  assertMatch(
    await ctl.says(2, "disk", "resize", "mic0", "disk7", "8M"),
    /Cannot find disk "disk7"/,
  );
  await Deno.truncate(two, 8 << 20);
  assertMatch(await ctl.says(0, "disk", "swap", "mic0", "disk0", two), /two\.img, 8 MiB\n$/);
  assertMatch(
    await ctl.says(0, "disk", "add", "mic0", "mem:1M"),
    /^mic0 disk0: .*\nmic0 disk1: mem:1M, 1 MiB\n$/,
  );
  assertMatch(await ctl.says(0, "disk", "remove", "mic0", "disk1"), /^mic0 disk0: .*\n$/);
  assertMatch(await ctl.says(6, "disk", "remove", "mic0", "disk0"), /it cannot be pulled/);
  assertMatch(
    await ctl.says(2, "disk", "remove", "mic0", "disk1", "now"),
    /wanted remove CARD DISK/,
  );
  assertMatch(
    await ctl.says(3, "disk", "swap", "mic0", "disk0", `${folder.path}/no`),
    /Cannot open/,
  );
  assertMatch(await ctl.says(2, "net", "down"), /mic0: it has no network/);
  assertMatch(await ctl.says(2, "net", "sideways"), /wanted up or down/);
  assertEquals((await ctl.json("status"))[0].state, "online");
});

Deno.test("ctl status --watch ends when it is told to, after whatever was collected meanwhile", async () => {
  await using folder = await temporaryFolder();
  const { ctl, lab } = await start(folder.path);
  await using _lab = lab;
  const words = ["--control", ctl.control, "status", "--watch", "--json"];
  // A collection every 500 allocations: what only looks held is gone.
  const env = { DENO_V8_FLAGS: "--gc-interval=500" };
  await using watch = await LabProcess.start("ctl", words, { env });
  await watch.output(/"online"/);
  for (let round = 0; round < 3; round++) {
    await ctl.says(0, "reset", "--wait");
    await ctl.says(0, "boot", "--wait");
  }
  await watch.output(/"resetting"[^]*"online"/);
  const told = performance.now();
  watch.kill("SIGTERM");
  assertEquals(await watch.ended, 130);
  assert(performance.now() - told < PATIENCE, "it ended because of that");
});

Deno.test("ctl status --watch tells each state as it comes, and ends with its host", async () => {
  await using folder = await temporaryFolder();
  const { ctl, lab } = await start(folder.path);
  await using watch = await LabProcess.start("ctl", [
    ...["--control", ctl.control, "status", "--watch"],
  ]);
  await watch.output(/ mic0 online\n/);
  await ctl.says(0, "reset", "--wait");
  await watch.output(/ mic0 online\n[^]* mic0 resetting\n[^]* mic0 ready\n/);
  await lab[Symbol.asyncDispose]();
  assertEquals(await watch.ended, 3);
  assertMatch(watch.lines.join("\n"), /^ctl: Cannot watch any longer: the host has stopped/);
  // And nothing of the socket is left.
  assertMatch(
    await ctl.says(3, "status"),
    /^ctl: Cannot speak to a host: none is at .*; start one/,
  );
});

Deno.test("two hosts do not share a socket: the second one says so, or ends if it was asked for", async () => {
  await using folder = await temporaryFolder();
  const { ctl, lab } = await start(folder.path);
  await using _lab = lab;
  const listen = ["--listen", "127.0.0.1:0", "--os", "diag", "--json"];
  await using second = await LabProcess.start("host", [...listen, "--control", ctl.control]);
  assertEquals(await second.ended, 3);
  assertMatch(second.lines.join(), /another process listens there/);
  await ctl.says(0, "status");
});

Deno.test("over TCP ctl needs the token that the host made, from the user's own file", async () => {
  await using home = await temporaryFolder();
  await using elsewhere = await temporaryFolder();
  const env = { XDG_CONFIG_HOME: home.path };
  await using host = await LabProcess.start("host", [
    ...["--listen", "127.0.0.1:0", "--os", "diag", "--json", "--control", "tcp:127.0.0.1:0"],
  ], { env });
  const { name } = await host.event(({ type }) => type === "control") as unknown as {
    name: string;
  };
  assertMatch(await new Ctl(name, env).says(0, "status"), /mic0 +absent/);
  const token = `${home.path}/knightsbridge/control-token`;
  assertEquals((await Deno.stat(token)).mode! & 0o777, 0o600);
  const stranger = new Ctl(name, { XDG_CONFIG_HOME: elsewhere.path });
  assertMatch(await stranger.says(4, "status"), /no control token/);
  await Deno.mkdir(`${elsewhere.path}/knightsbridge`);
  await Deno.writeTextFile(`${elsewhere.path}/knightsbridge/control-token`, "x".repeat(64), {
    mode: 0o600,
  });
  assertMatch(await stranger.says(4, "status"), /wanted the host's bearer token/);
});

Deno.test("ctl answers fast: measured, not asserted", async () => {
  await using folder = await temporaryFolder();
  const { ctl, lab } = await start(folder.path);
  await using _lab = lab;
  await ctl.says(0, "wait", "mic0", "--state", "online");
  const times: number[] = [];
  for (let count = 0; count < 5; count++) {
    const begun = performance.now();
    await ctl.says(0, "status");
    times.push(performance.now() - begun);
  }
  times.sort((a, b) => a - b);
  console.error(`ctl status: ${times[2]!.toFixed(0)} ms, median of ${times.length}`);
});
