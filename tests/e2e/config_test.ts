// A host of several cards, as processes, by a configuration file.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { EXIT } from "../../scripts/cli/mod.ts";
import { temporaryFolder } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";

const BENCH = `{
  "listen": "127.0.0.1:0",
  "state": "state",
  "networks": { "lab": {} },
  "cards": {
    // Cannot be had: stands aside.
    "mic0": { "os": "diag", "disks": ["none.img"] },
    "mic1": { "os": "diag", "net": "hub:lab", "disks": ["mem:1M"] },
    "mic2": { "os": "diag", "net": "hub:lab" },
  },
}`;

async function bench(text: string): Promise<{ path: string; file: string } & AsyncDisposable> {
  const folder = await temporaryFolder();
  const file = `${folder.path}/knightsbridge.jsonc`;
  await Deno.writeTextFile(file, text);
  return Object.assign(folder, { file });
}

/** A card process of a machine of its own: its identity is in `home`. */
const startCard = (port: string, home: string) =>
  LabProcess.start("card", ["--connect", `127.0.0.1:${port}`, "--machine", "diag"], {
    env: { XDG_CONFIG_HOME: home },
  });

Deno.test("host --config serves its cards, which ping each other; one without its disk stands aside", async () => {
  await using folder = await bench(BENCH);
  const control = `${folder.path}/host.sock`;
  await using host = await LabProcess.start("host", [
    ...["--config", folder.file, "--name", "mic1", "--console", "stdio", "--control", control],
  ]);
  const failed = await host.line(/^host: mic0: Cannot open/);
  assertStringIncludes(failed, `${folder.path}/none.img: no such file`);
  const [, port] = /:(\d+)$/.exec(await host.line(/listening/))!;
  await using first = await startCard(port!, `${folder.path}/a`);
  await host.line(/^host: mic1: state online/);
  await using second = await startCard(port!, `${folder.path}/b`);
  await host.line(/^host: mic2: state online/);
  await host.type("ping -c 2 172.31.0.3\r");
  await host.output(/2 sent, 2 received, 0% lost/);
  await using third = await startCard(port!, `${folder.path}/c`);
  assertMatch(
    await third.line(/said goodbye: busy/),
    /mic0: the host cannot lend it its devices: Cannot open disk image .*; mic1: another one is/,
  );
  // One that goes is told of by its name, and the other one goes on.
  await second[Symbol.asyncDispose]();
  await host.line(/^host: mic2: card is gone/);
  await third.line(/the card OS runs on diag/);
  await host.type("uname\r");
  await host.output(/knightsbridge-diag/);
  assertEquals(first.lines.filter((line) => /goodbye/.test(line)), []);
  const kept = await Array.fromAsync(Deno.readDir(`${folder.path}/state`), ({ name }) => name);
  assertEquals(kept.toSorted(), ["mic0", "mic1", "mic2"]);
  // What its console showed is there too, and why the one that stands aside does.
  assertMatch(
    await Deno.readTextFile(`${folder.path}/state/mic1/console/boot-1.log`),
    /2 received/,
  );
  await using why = await LabProcess.start("ctl", ["--control", control, "why", "mic0"]);
  assertEquals(await why.ended, EXIT.ok, why.transcript());
  assertMatch(why.stdout, /^the host cannot lend mic0 its devices: Cannot open disk image /);
});

for (
  const { args, says } of [
    {
      args: ["--net", "none"],
      says: "Cannot use --net for 3 cards: say which one with --name NAME",
    },
    {
      args: ["--name", "mic7"],
      says: 'Cannot find a card "mic7" in ',
    },
    {
      args: ["--exec", "true"],
      says: "Cannot use --exec with --config",
    },
    {
      args: ["--name", "mic2", "--console", "tcp:0.0.0.0:0", "--listen", "127.0.0.1:70000"],
      says: "Cannot use --listen 127.0.0.1:70000: wanted ADDRESS:PORT",
    },
  ]
) {
  Deno.test(`host --config FILE ${args.join(" ")} is a wrong command line`, async () => {
    await using folder = await bench(BENCH);
    await using host = await LabProcess.start("host", ["--config", folder.file, ...args]);
    assertEquals(await host.ended, EXIT.usage, host.transcript());
    assertStringIncludes(host.lines.at(-1)!, `host: ${says}`);
  });
}

Deno.test("host and config refuse a wrong file with the same words", async () => {
  await using folder = await bench('{"cards": {"mic0": {"disc": []},\n"mic1": {"os": "dos"}}}');
  const words = [
    `${folder.file}:1:21: cards.mic0.disc: there is no key of that name; did you mean "disks"?`,
    `${folder.file}:2:16: cards.mic1.os: wanted "linux" or "diag", found "dos"; did you mean "diag"?`,
  ];
  await using host = await LabProcess.start("host", ["--config", folder.file]);
  assertEquals([await host.ended, host.lines], [EXIT.usage, [`host: ${words[0]}`, words[1]!]]);
  await using config = await LabProcess.start("config", ["check", folder.file]);
  assertEquals([await config.ended, config.lines], [EXIT.usage, [
    `config: ${words[0]}`,
    words[1]!,
  ]]);
  await using none = await LabProcess.start("config", ["check", `${folder.file}x`]);
  assertEquals(await none.ended, EXIT.resource);
});

Deno.test("config checks a file and prints what is in effect", async () => {
  await using folder = await bench(BENCH);
  await using check = await LabProcess.start("config", ["check", folder.file]);
  assertEquals(await check.ended, EXIT.ok);
  assertEquals(check.stdout, `${folder.file}: mic0, mic1, mic2: all is well\n`);
  await using ctl = await LabProcess.start("ctl", ["config", "check", folder.file]);
  assertEquals([await ctl.ended, ctl.stdout], [EXIT.ok, check.stdout]);
  await using print = await LabProcess.start("config", ["print", folder.file]);
  assertEquals(await print.ended, EXIT.ok);
  const { cards } = JSON.parse(print.stdout);
  assertEquals(cards.mic0.disks, [`${folder.path}/none.img`]);
  assertEquals(cards.mic2.address, "172.31.0.3/24");
});
