// What systemd itself says of the units, and the sleep watch on a message bus of its own.
import { assert, assertEquals } from "@std/assert";
import { UNITS } from "../../scripts/service/install.ts";
import { temporaryFolder } from "../support/lab.ts";
import { missing } from "../support/needs.ts";

const FILES = new URL("../../scripts/service/files/", import.meta.url).pathname;
const noSystemd = await missing({ program: "systemd-analyze" });
const noBus = await missing({ program: "dbus-daemon" }, { program: "dbus-monitor" }, {
  program: "dbus-send",
});

/** Units as installed, but that their programs are one that is surely there. */
async function unitsIn(folder: string, kind: "system" | "user"): Promise<string[]> {
  const paths: string[] = [];
  for (const unit of UNITS) {
    const text = await Deno.readTextFile(`${FILES}${kind}/${unit}`);
    const path = `${folder}/${unit}`;
    await Deno.writeTextFile(path, text.replaceAll(/@(bin|library)@[\w/-]+/g, "/bin/true"));
    paths.push(path);
  }
  return paths;
}

async function analyze(args: string[], env: Record<string, string> = {}): Promise<string> {
  const command = new Deno.Command("systemd-analyze", { args, env });
  const { success, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  const said = text.decode(stdout) + text.decode(stderr);
  assert(success, `systemd-analyze ${args.join(" ")}: ${said}`);
  return said;
}

for (const kind of ["system", "user"] as const) {
  Deno.test({
    name: `systemd has nothing to say against the ${kind} units`,
    ignore: noSystemd,
    async fn() {
      await using folder = await temporaryFolder();
      const units = await unitsIn(folder.path, kind);
      const user = kind === "user" ? ["--user"] : [];
      const env = { XDG_RUNTIME_DIR: folder.path };
      assertEquals(await analyze(["verify", "--man=no", ...user, ...units], env), "");
    },
  });
}

Deno.test({
  name: "the system units are hardened: systemd's exposure level of each is below 2 of 10",
  ignore: noSystemd,
  async fn() {
    await using folder = await temporaryFolder();
    for (const unit of await unitsIn(folder.path, "system")) {
      const said = await analyze([
        "security",
        "--offline=true",
        "--threshold=19",
        "--no-pager",
        unit,
      ]);
      console.log(/[^/]+: [\d.]+/.exec(said.slice(said.indexOf("Overall")))![0]);
    }
  },
});

Deno.test({
  name:
    "sleep-watch suspends when logind says that the machine goes to sleep, and resumes when it runs again",
  ignore: noBus,
  async fn() {
    await using folder = await temporaryFolder();
    const { path } = folder;
    // A bus where anybody may be logind.
    await Deno.writeTextFile(
      `${path}/bus.conf`,
      `<busconfig><type>system</type><listen>unix:path=${path}/bus</listen><auth>EXTERNAL</auth>
      <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow own="*"/><allow eavesdrop="true"/>
      <allow user="*"/></policy></busconfig>`,
    );
    const bus = new Deno.Command("dbus-daemon", {
      args: [`--config-file=${path}/bus.conf`, "--nofork", "--print-address"],
      stdout: "piped",
    }).spawn();
    await using ending = new AsyncDisposableStack();
    const lines = bus.stdout.getReader();
    ending.defer(async () => {
      bus.kill("SIGTERM");
      await bus.status;
      await lines.cancel();
    });
    await lines.read();
    // Writes down what it is asked to do.
    const log = `${path}/log`;
    await Deno.writeTextFile(`${path}/knightsbridge`, `#!/bin/sh\necho "$@" >> ${log}\nexit 1\n`);
    await Deno.chmod(`${path}/knightsbridge`, 0o755);
    const env = {
      DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${path}/bus`,
      KNIGHTSBRIDGE: `${path}/knightsbridge`,
      RUNTIME_DIRECTORY: path,
    };
    const watch = () => new Deno.Command(`${FILES}sleep-watch`, { env, stderr: "inherit" }).spawn();
    const signal = (sleeps: boolean) =>
      new Deno.Command("dbus-send", {
        args: [
          "--system",
          "--type=signal",
          "/org/freedesktop/login1",
          "org.freedesktop.login1.Manager.PrepareForSleep",
          `boolean:${sleeps}`,
        ],
        env,
      }).output();

    const first = watch();
    let over = false;
    const ended = first.status.then((status) => {
      over = true;
      return status;
    });
    // Said again until the watch listens; awake means nothing to it.
    while (!over) {
      await signal(false);
      await signal(true);
    }
    assertEquals((await ended).code, 0);
    assertEquals(await Deno.readTextFile(log), "suspend --wait\n");

    const second = watch();
    // Whatever the cards answered, they are not asked again: the mark goes.
    const resumed = () => Deno.stat(`${path}/asleep`).then(() => false, () => true);
    using changes = Deno.watchFs(path);
    const limit = setTimeout(() => changes.close(), 30_000);
    if (!await resumed()) { for await (const _ of changes) if (await resumed()) break; }
    clearTimeout(limit);
    second.kill("SIGTERM");
    await second.status;
    assertEquals(await Deno.readTextFile(log), "suspend --wait\nresume\n");
  },
});
