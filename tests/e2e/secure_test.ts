// Two machines that trust each other and nobody else: pairing and an encrypted boot, by processes as a user starts them.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { EXIT } from "../../scripts/cli/mod.ts";
import { onHost, temporaryFolder } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";

/** A machine of its own: tasks with a configuration folder that no other has. */
function machine(folder: string, name: string) {
  const env = { XDG_CONFIG_HOME: `${folder}/${name}` };
  return (task: string, ...args: string[]) => LabProcess.start(task, args, { env });
}

async function fingerprintOf(run: ReturnType<typeof machine>): Promise<string> {
  await using keygen = await run("keygen");
  assertEquals(await keygen.ended, EXIT.ok, keygen.transcript());
  return /^([0-9a-f]{64}) {2}this machine/.exec(keygen.stdout)![1]!;
}

const portOf = (line: string) => /:(\d+)/.exec(line)![1]!;

Deno.test("host and card pair with one code, then boot over TLS, and a stranger does not get in", async () => {
  await using folder = await temporaryFolder();
  const host = machine(folder.path, "host");
  const card = machine(folder.path, "card");
  const stranger = machine(folder.path, "stranger");
  const secure = ["--listen", "127.0.0.1:0", "--secure", "--os", "diag"];
  {
    await using unpaired = await host("host", ...secure);
    assertEquals(await unpaired.ended, EXIT.resource);
    assertMatch(unpaired.lines.at(-1)!, /^host: Cannot listen on 127\.0\.0\.1: .*--pair/);
    await using alone = await card("card", "--connect", "127.0.0.1:1", "--secure");
    assertEquals(await alone.ended, EXIT.resource);
    assertMatch(alone.lines.at(-1)!, /^card: Cannot connect to 127\.0\.0\.1: .*--pair CODE/);
  }
  for (const [run, wrong] of [[stranger, true], [card, false]] as const) {
    await using pairing = await host("host", "--listen", "127.0.0.1:0", "--pair");
    const line = await pairing.line(/--pair \S+$/);
    const [connect, code] = /--connect (\S+) --pair (\S+)$/.exec(line)!.slice(1);
    const guess = wrong ? "0000-0000-0000-0000" : code!;
    await using paired = await run("card", "--connect", connect!, "--pair", guess);
    const status = wrong ? EXIT.refused : EXIT.ok;
    assertEquals(await paired.ended, status, paired.transcript());
    assertEquals(await pairing.ended, status, pairing.transcript());
    const says = wrong ? "the code is wrong" : await fingerprintOf(host);
    assertStringIncludes(paired.lines.at(-1)!, says);
  }
  await using serving = await host("host", ...secure, "--exec", "uname");
  const port = portOf(await serving.line(/listening on .*, encrypted, for paired cards$/));
  const connect = ["--connect", `127.0.0.1:${port}`, "--machine", "diag"];
  {
    // Not paired, not even encrypted.
    await using plain = await stranger("card", ...connect);
    assertEquals(await plain.ended, EXIT.refused, plain.transcript());
    assertStringIncludes(plain.lines.at(-1)!, "this host speaks TLS only");
    // Paired with the host by its own account, but not by the host's.
    await Deno.mkdir(`${folder.path}/stranger/knightsbridge`, { recursive: true });
    await Deno.copyFile(
      `${folder.path}/card/knightsbridge/trusted.json`,
      `${folder.path}/stranger/knightsbridge/trusted.json`,
    );
    await using untrusted = await stranger("card", ...connect, "--secure");
    assertEquals(await untrusted.ended, EXIT.refused, untrusted.transcript());
    const fingerprint = await fingerprintOf(stranger);
    assertStringIncludes(untrusted.lines.at(-1)!, `its certificate ${fingerprint} is not trusted`);
    await serving.line(new RegExp(`refused .*${fingerprint} is not trusted here; pair it with`));
  }
  await using served = await card("card", ...connect, "--secure");
  assertEquals(await serving.ended, EXIT.ok, serving.transcript() + served.transcript());
  assertEquals(serving.stdout, "knightsbridge-diag\n");
  await serving.line(/^host: turned 2 connections away$/);
});

Deno.test("beyond loopback a host listens encrypted or not at all, and --insecure says otherwise", async () => {
  await using folder = await temporaryFolder();
  const host = machine(folder.path, "host");
  const everywhere = ["--listen", "0.0.0.0:0", "--os", "diag"];
  await using unpaired = await host("host", ...everywhere);
  assertEquals(await unpaired.ended, EXIT.resource);
  assertMatch(unpaired.lines.at(-1)!, /^host: Cannot listen on 0\.0\.0\.0: .* trusts no card yet/);
  await using plain = await host("host", ...everywhere, "--insecure");
  const listening = await plain.line(/listening/);
  assertMatch(listening, /^host: listening on 0\.0\.0\.0:\d+$/);
  // Whoever asked for it is told what that means.
  await plain.line(/^host: not encrypted: who is on the network between can read and change/);
  // Not loopback by its text, though it is: every name but localhost may be anywhere.
  await using card = await machine(folder.path, "card")(
    ...["card", "--connect", `0.0.0.0:${portOf(listening.slice(8))}`, "--insecure"],
    ...["--machine", "diag"],
  );
  await card.line(/^card: not encrypted: who is on the network between can read and change/);
  await card.line(/^card: connected to /);
});

Deno.test("a key that others may read stops host, card and keygen", async () => {
  await using folder = await temporaryFolder();
  const run = machine(folder.path, "here");
  await fingerprintOf(run);
  const key = `${folder.path}/here/knightsbridge/identity.pem`;
  await onHost("chmod", "644", key);
  for (
    const [task, ...args] of [
      ["keygen"],
      ["host", "--listen", "127.0.0.1:0", "--pair"],
      ["card", "--connect", "127.0.0.1:1", "--pair", "0000-0000-0000-0000"],
    ]
  ) {
    await using refused = await run(task!, ...args);
    assertEquals(await refused.ended, EXIT.resource);
    assertStringIncludes(refused.lines.at(-1)!, `"chmod 600 ${key}"`);
  }
});
