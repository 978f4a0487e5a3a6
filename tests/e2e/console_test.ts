// One console of Linux in four places at once: a pseudoterminal, two sockets and a log file.
import { assert, assertEquals } from "@std/assert";
import { Lab, onHost, rootDisk, temporaryFolder } from "../support/lab.ts";
import { LabConsole } from "../support/lab_console.ts";
import { missing } from "../support/needs.ts";

const ignore = await missing("ffi", { program: "stty" });

Deno.test({
  name: "Linux's shell is on every console, hears each of them, and learns the terminal's size",
  ignore,
}, async () => {
  await using folder = await temporaryFolder();
  const { path } = await rootDisk(folder.path);
  const at = (name: string) => `${folder.path}/${name}`;
  const consoles = [
    `pty:${at("tty")}`,
    "tcp:127.0.0.1:0",
    `unix:${at("socket")}`,
    `log:${at("log")}`,
  ];
  await using lab = await Lab.start({
    os: "linux",
    host: ["--disk", path, ...consoles.flatMap((choice) => ["--console", choice])],
  });
  const { name } = await lab.host.event(({ type }) => type === "console");
  const [, port] = /tcp:127\.0\.0\.1:(\d+)/.exec(name as string) ?? [];

  await using terminal = LabConsole.terminal(at("tty"));
  await using tcp = LabConsole.socket(
    await Deno.connect({ hostname: "127.0.0.1", port: Number(port) }),
  );
  await using unix = LabConsole.socket(
    await Deno.connect({ transport: "unix", path: at("socket") }),
  );
  const all = [terminal, tcp, unix];

  // The prompt appears on all of them.
  for (const console of all) await console.shows(/root@mic0:~# /);

  // A command typed on any of them answers on all.
  for (const [index, typed] of all.entries()) {
    await typed.type(`echo from-$((${index} + 40))\r`);
    for (const console of all) await console.shows(new RegExp(`\nfrom-${index + 40}\r`));
  }

  // A resize of the pseudoterminal reaches stty size in the card.
  await terminal.type(
    "until [ \"$(stty size)\" = '33 101' ]; do usleep 20000; done; echo size-$((6 * 7))\r",
  );
  await onHost("stty", "-F", at("tty"), "rows", "33", "cols", "101");
  await terminal.shows(/\nsize-42\r/);

  // The log has it all, and the card shuts down when told to on any.
  const stopped = lab.host.event(({ type }) => type === "stopped");
  await tcp.type("poweroff\r");
  assertEquals((await stopped)["reason"], "poweroff");
  const log = await Deno.readTextFile(at("log"));
  for (const word of ["from-40\r\n", "from-41\r\n", "from-42\r\n", "size-42\r\n"]) {
    assert(log.includes(word), log);
  }

  // The host, ended by a signal, takes the names of its consoles away.
  await lab.host[Symbol.asyncDispose]();
  assertEquals(await lab.host.ended, 130);
  const left = [...Deno.readDirSync(folder.path)].map(({ name }) => name).sort();
  assertEquals(left, ["log", "root.img"]);
});
