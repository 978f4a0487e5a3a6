import { assert, assertEquals, assertThrows } from "@std/assert";
import { LogBackend } from "../../host/backends/log.ts";
import { nearest } from "../../host/backends/_nearest.ts";
import { noneNet } from "../../host/backends/none_net.ts";
import { openConsole, parseConsole } from "../../host/backends/open_console.ts";
import { openNet, parseNet } from "../../host/backends/open_net.ts";
import { BackendError } from "../../protocol/mod.ts";
import { NetProbe } from "../support/net_probe.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

Deno.test("parseNet() knows tap:NAME, hub:NAME, passt and none", () => {
  assertEquals(parseNet("tap:mic0"), { kind: "tap", interface: "mic0" });
  assertEquals(parseNet("hub:lab"), { kind: "hub", hub: "lab" });
  assertEquals(parseNet("passt"), { kind: "passt" });
  assertEquals(parseNet("none"), { kind: "none" });
});

Deno.test("parseNet() suggests what was meant", () => {
  const cases = [
    ["tpa:mic0", "wanted tap:mic0"],
    ["tap", "wanted tap:NAME"],
    ["past", "wanted passt"],
    ["passt:x", "wanted passt"],
    ["bridge", "wanted tap:NAME, hub:NAME, passt or none"],
    ["", "wanted tap:NAME, hub:NAME, passt or none"],
    ["hbu:lab", "wanted hub:lab"],
    ["hub", "wanted hub:NAME"],
    ["hub:a b", "wanted hub:NAME, the name in lower-case"],
    ["tap:", 'interface name ""'],
    ["tap:a/b", 'interface name "a/b"'],
  ] as const;
  for (const [text, wanted] of cases) assertThrows(() => parseNet(text), RangeError, wanted);
});

Deno.test("parseConsole() knows every form", () => {
  const cases = [
    ["stdio", { kind: "stdio" }],
    ["pty", { kind: "pty" }],
    ["pty:/run/a:b", { kind: "pty", link: "/run/a:b" }],
    ["log:mic0.log", { kind: "log", path: "mic0.log" }],
    ["tcp:127.0.0.1:7000", { kind: "tcp", hostname: "127.0.0.1", port: 7000 }],
    ["tcp:[::1]:0", { kind: "tcp", hostname: "::1", port: 0 }],
    ["unix:/run/c", { kind: "unix", path: "/run/c" }],
    ["none", { kind: "none" }],
  ] as const;
  for (const [text, choice] of cases) assertEquals(parseConsole(text), choice);
});

Deno.test("parseConsole() suggests what was meant", () => {
  const cases = [
    ["stdout", "wanted stdio, pty, pty:LINK, log:FILE, tcp:ADDR:PORT, unix:PATH or none"],
    ["studio", "wanted stdio"],
    ["stdio:x", "wanted stdio"],
    ["pty:", "wanted pty or pty:LINK"],
    ["log", "wanted log:FILE"],
    ["tcp:7000", "wanted tcp:ADDR:PORT"],
    ["tcp:localhost:70000", "wanted tcp:ADDR:PORT"],
    ["tcp:::1:7000", "wanted tcp:ADDR:PORT"],
  ] as const;
  for (const [text, wanted] of cases) assertThrows(() => parseConsole(text), RangeError, wanted);
});

Deno.test("nearest() finds a word two edits away, not three", () => {
  assertEquals(nearest("pssat", ["tap", "passt"]), "passt");
  assertEquals(nearest("xyz", ["tap", "passt"]), undefined);
});

Deno.test("openNet() none has no carrier, and takes every frame", async () => {
  await using net = await openNet({ kind: "none" }, { mac: Uint8Array.of(2, 0, 0, 0, 0, 7) });
  assertEquals([...net.mac], [2, 0, 0, 0, 0, 7]);
  const probe = new NetProbe(net);
  await probe.linkIs(false);
  assert(net.send(new Uint8Array(72)));
});

Deno.test("noneNet() makes up a unicast, locally administered address", () => {
  const first = noneNet().mac[0]!;
  assertEquals(first & 3, 2);
  assertThrows(() => noneNet(Uint8Array.of(1, 0, 0, 0, 0, 0)), RangeError, "01:00:00:00:00:00");
});

Deno.test("LogBackend appends", async () => {
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeTextFileSync(path, "before\n");
    for (const line of ["one\n", "two\n"]) {
      await using log = await openConsole({ kind: "log", path });
      assertEquals(log.name, `log:${path}`);
      log.write(bytesOf(line));
    }
    assertEquals(Deno.readTextFileSync(path), "before\none\ntwo\n");
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("LogBackend.open() names a file that cannot be", () => {
  const path = "no-such-folder/mic0.log";
  assertThrows(() => LogBackend.open(path), BackendError, `Cannot open log file ${path}`);
});

Deno.test({
  name: "LogBackend reports a full disk once, and the card goes on",
  ignore: (await Deno.permissions.query({ name: "run" })).state !== "granted" ||
    Deno.build.os !== "linux",
}, async () => {
  // Deno opens devices only with every permission, which a child alone is given.
  const log = new URL("../../host/backends/log.ts", import.meta.url);
  const code = `
    import { LogBackend } from ${JSON.stringify(log.href)};
    await using log = LogBackend.open("/dev/full", (error) => console.log(error.message));
    log.write(new Uint8Array([97]));
    log.write(new Uint8Array([98]));`;
  const child = await new Deno.Command(Deno.execPath(), { args: ["eval", code] }).output();
  const reports = new TextDecoder().decode(child.stdout).trimEnd().split("\n");
  assertEquals(reports.length, 1);
  assert(reports[0]!.startsWith("Cannot write log file /dev/full: No space left"), reports[0]);
});
