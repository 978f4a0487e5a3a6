// The service's script: what it installs runs, from elsewhere and without this checkout's help, and goes without a trace.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { taskArguments } from "../../scripts/cli/tasks.ts";
import { isState, temporaryFolder } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";

/** `deno task service`, as a user whose home is in `folder`. @throws {Error} with its words, if it fails */
async function service(folder: string, ...args: string[]): Promise<void> {
  const env = { HOME: `${folder}/home` };
  const run = LabProcess.run("service", ["deno", ...await taskArguments("service", env), ...args], {
    env,
  });
  assertEquals(await run.ended, 0, run.transcript());
  await run[Symbol.asyncDispose]();
}

/** Every path below `folder` with what it is: mode and length, or where it leads. */
async function tree(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory, isSymlink } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    const { mode, size } = await Deno.lstat(path);
    if (isSymlink) found.push(`${path} -> ${await Deno.readLink(path)}`);
    else found.push(`${path} ${mode!.toString(8)}${isDirectory ? "" : ` ${size}`}`);
    if (isDirectory) found.push(...await tree(path));
  }
  return found.toSorted();
}

/** Program and arguments of an installed unit, with `%E` and `%i` in their places. */
async function execStart(path: string, values: Record<string, string>): Promise<string[]> {
  const [, line] = /^ExecStart=(.+)$/m.exec(await Deno.readTextFile(path))!;
  return line!.replaceAll(/%\w/g, (name) => values[name]!).split(" ");
}

const CONFIG = `{
  "listen": "127.0.0.1:0",
  "cards": { "mic0": { "os": "diag", "disks": ["mem:1M"] } },
}`;

Deno.test("install, run, install again, remove: what the units start works offline, and nothing is left", async () => {
  await using folder = await temporaryFolder();
  const { path } = folder;
  // A folder and a file of somebody else's that are where ours go.
  const prefix = `${path}/prefix`;
  await Deno.mkdir(`${prefix}/bin`, { recursive: true });
  await Deno.writeTextFile(`${prefix}/bin/another`, "another");
  await Deno.mkdir(`${path}/home`);
  const before = await tree(prefix);

  await service(path, "install", "--user", "--prefix", prefix);
  const installed = await tree(prefix);
  const units = `${prefix}/share/systemd/user`;
  // No cache of Deno's, another folder, no checkout: what a machine has where this was installed.
  const config = `${path}/home/config`;
  await Deno.mkdir(`${config}/knightsbridge`, { recursive: true });
  await Deno.writeTextFile(`${config}/knightsbridge/knightsbridge.jsonc`, CONFIG);
  const env = {
    HOME: `${path}/home`,
    XDG_CONFIG_HOME: config,
    XDG_STATE_HOME: `${path}/home/state`,
    XDG_RUNTIME_DIR: path,
    DENO_DIR: `${path}/deno`,
  };
  const from = { env, cwd: "/" };
  const control = ["--control", `${path}/host.sock`];
  {
    const host = await execStart(`${units}/knightsbridge-host.service`, { "%E": config });
    await using hostProcess = LabProcess.run("host", [...host, ...control, "--json"], from);
    const { port } = await hostProcess.event(({ type }) => type === "listening");
    const card = await execStart(`${units}/knightsbridge-card@.service`, {
      "%i": `127.0.0.1:${port}`,
    });
    await using _card = LabProcess.run("card", [...card, "--machine", "diag", "--json"], from);
    await hostProcess.event(isState("online"));
    // As the sleep hook calls it.
    await using suspend = LabProcess.run(
      "ctl",
      [`${prefix}/bin/knightsbridge`, "suspend", "--wait", ...control],
      from,
    );
    assertEquals(await suspend.ended, 0, suspend.transcript());
    await using resume = LabProcess.run(
      "ctl",
      [`${prefix}/bin/knightsbridge`, "resume", "--wait", ...control],
      from,
    );
    assertEquals(await resume.ended, 0, resume.transcript());
    assertStringIncludes(resume.stdout, "mic0: online");
  }
  assertEquals(await tree(prefix), installed, "they wrote into the installation");

  await service(path, "install", "--user", "--prefix", prefix);
  assertEquals(await tree(prefix), installed, "a second installation differs from the first");
  await service(path, "remove", "--user", "--prefix", prefix, "--purge");
  assertEquals(await tree(prefix), before);
  await service(path, "remove", "--user", "--prefix", prefix);
});

Deno.test("an installation that was interrupted is finished by the next, and removed whole", async () => {
  await using folder = await temporaryFolder();
  const prefix = `${folder.path}/prefix`;
  await service(folder.path, "install", "--prefix", prefix);
  // As if the power had failed between the library and the last of the files.
  await Deno.remove(`${prefix}/bin/knightsbridge-keygen`);
  await Deno.mkdir(`${prefix}/lib/knightsbridge.new`);
  await service(folder.path, "install", "--prefix", prefix);
  await Deno.lstat(`${prefix}/bin/knightsbridge-keygen`);
  await Deno.remove(`${prefix}/bin/knightsbridge-card`);
  await service(folder.path, "remove", "--prefix", prefix);
  // What Deno keeps in the home of who ran the script.
  assertEquals(await Array.fromAsync(Deno.readDir(folder.path), ({ name }) => name), ["home"]);
});
