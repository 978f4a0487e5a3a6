// A card that cannot have a device stands aside, and comes back without another host: by ctl, and by its card process.
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { CommandError, EXIT } from "../../scripts/cli/mod.ts";
import { ControlClient } from "../../scripts/ctl/client.ts";
import { Ctl } from "../support/ctl.ts";
import { onHost, temporaryFolder } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";

async function openFiles(pid: number): Promise<number> {
  return (await onHost("ls", `/proc/${pid}/fd`)).trim().split("\n").length;
}

Deno.test("a card that stands aside comes back when what it could not have is there, and leaks nothing until then", async () => {
  await using folder = await temporaryFolder();
  const ctl = new Ctl(`${folder.path}/host.sock`);
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const place = `127.0.0.1:${(taken.addr as Deno.NetAddr).port}`;
  const file = `${folder.path}/knightsbridge.json`;
  const image = `${folder.path}/late.img`;
  await Deno.writeFile(`${folder.path}/disk.img`, new Uint8Array(1 << 20));
  const common = { os: "diag", net: "hub:lab", autoboot: false } as const;
  await Deno.writeTextFile(
    file,
    JSON.stringify({
      state: "state",
      networks: { lab: {} },
      cards: {
        // Its last device is the one that cannot be had: all others are open by then.
        mic0: { ...common, disks: ["disk.img", "mem:1M"], console: ["pty:pty", `tcp:${place}`] },
        mic1: { ...common, disks: ["late.img"] },
      },
    }),
  );
  await using host = await LabProcess.start("host", [
    ...["--config", file, "--listen", "127.0.0.1:0", "--control", ctl.control],
  ]);
  const [, port] = /:(\d+)$/.exec(await host.line(/listening/))!;
  const told = await host.line(/^host: mic0: Cannot/);
  assertMatch(told, /Cannot listen .*; put it right, then "ctl boot mic0"$/);
  const sentence = told.slice("host: mic0: ".length, told.lastIndexOf("; put"));
  assertStringIncludes(sentence, place);

  assertEquals(await ctl.says(EXIT.resource, "boot", "mic0"), `ctl: ${sentence}\n`);
  const why = await ctl.says(0, "why", "mic0");
  assertStringIncludes(why, `the host cannot lend mic0 its devices: ${sentence}`);
  assertStringIncludes(why, '"ctl boot mic0"');
  const before = await openFiles(host.pid);
  using client = await ControlClient.open({ transport: "unix", path: ctl.control });
  for (let count = 0; count < 100; count++) {
    const path = `/v1/cards/mic${count % 2}/boot`;
    await assertRejects(() => client.json(path, { method: "POST" }), CommandError, "Cannot");
  }
  const after = await openFiles(host.pid);
  // The client's own connection, kept alive.
  assert(after <= before + 1, `${before} files are open before 100 tries, ${after} after`);

  // ctl: it boots as soon as there is a card process, though nothing else would boot it.
  await Deno.writeFile(image, new Uint8Array(1 << 20));
  await using boot = await LabProcess.start("ctl", [
    ...["--control", ctl.control, "boot", "mic1", "--wait"],
  ]);
  await host.line(/^host: mic1: has its devices now: disk0, net0, console0$/);
  const card = (name: string) =>
    LabProcess.start("card", ["--connect", `127.0.0.1:${port}`, "--machine", "diag"], {
      env: { XDG_CONFIG_HOME: `${folder.path}/${name}` },
    });
  await using _second = await card("b");
  assertEquals([await boot.ended, boot.stdout], [0, "mic1: online\n"], boot.transcript());

  // A card process: it is turned away until the port is free, and then it is mic0.
  await using first = await card("a");
  await first.line(/said goodbye: busy/);
  taken.close();
  await host.line(/^host: mic0: has its devices now: disk0, disk1, net0, console0$/);
  await host.line(/^host: mic0: console on .*/);
  await host.line(/^host: mic0: state ready/);
  assertEquals(await ctl.says(0, "boot", "mic0", "--wait"), "mic0: online\n");
  assertStringIncludes(await ctl.says(0, "exec", "mic0", "uname"), "knightsbridge-diag");
  using console = await Deno.connect({ hostname: "127.0.0.1", port: Number(place.slice(10)) });
  await console.write(new TextEncoder().encode("\r"));
  assert(await console.read(new Uint8Array(100)) !== null);
});
