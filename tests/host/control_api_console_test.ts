// Consoles through the control API: real server, socket and hub; the machine is the test's own.
import { assertEquals, assertMatch } from "@std/assert";
import { BootLog } from "../../host/console/boot_log.ts";
import { ConsoleHub } from "../../host/console/hub.ts";
import { ApiRig } from "../support/api_rig.ts";
import { ConsoleProbe } from "../support/console_probe.ts";
import { temporaryFolder } from "../support/lab.ts";
import { SocketConsole } from "../support/socket_console.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

Deno.test("the API shows a console to many, lets one type, and passes his size on", async () => {
  await using console = new ConsoleHub({ name: "mic0" });
  const probe = new ConsoleProbe(console);
  await using rig = await ApiRig.start({ console });
  console.write(bytesOf("Linux\r\nlogin: "));
  const dial = (query: string) => SocketConsole.dial(rig.path, `/v1/cards/mic0/console?${query}`);
  await using ann = await dial("write=1&scrollback=7&as=ann");
  await ann.until(() => ann.text === "login: ");
  await using bob = await dial("write=1&as=bob");
  await bob.until(() => bob.notices.length === 1);
  await using eve = await dial("as=eve");
  ann.say({ resize: { columns: 99, rows: 30 } });
  ann.type("root\r");
  await probe.until(() => probe.text === "root\r" && probe.sizes[0] === "99x30");
  await using dan = await dial("takeover=1&as=dan");
  await ann.until(() => ann.notices.length === 1);
  assertEquals(ann.notices, ["dan has taken the keyboard: this is read only now"]);
  assertEquals(bob.notices, ["read only: ann has the keyboard"]);
  console.write(bytesOf("welcome"));
  for (const each of [ann, bob, eve, dan]) await each.shows(/welcome$/);
  eve.type("e");
  await eve.until(() => eve.notices.length === 1);
  assertEquals([eve.notices, probe.text], [["read only: dan has the keyboard"], "root\r"]);
  assertEquals(rig.failures, []);
});

Deno.test("the API has what a console showed, over all boots and of each", async () => {
  await using folder = await temporaryFolder();
  const log = new BootLog({
    folder: folder.path,
    report(error) {
      throw error;
    },
  });
  await using console = new ConsoleHub({ name: "mic0", log });
  await using rig = await ApiRig.start({ console });
  const text = async (path: string) => await (await rig.fetch(`/v1/cards/mic0${path}`)).text();
  const missing = await rig.call("GET", "/v1/cards/mic0/boots/last/log");
  assertEquals(missing.body.detail, "Cannot find a log of boot last of mic0: there is none yet");
  for (const boot of [1, 2]) {
    console.beginBoot(boot);
    console.write(bytesOf(`boot ${boot}\r\n`));
  }
  assertEquals(await text("/console/log?bytes=8"), "boot 2\r\n");
  assertMatch(await text("/console/log"), /boot 1 of mic0 begins.*boot 1\r\n.*boot 2\r\n$/s);
  assertMatch(await text("/boots/1/log"), /^[\d-]{10}T[\d:.]{12}Z boot 1\n$/);
  assertMatch(await text("/boots/last/log"), /Z boot 2\n$/);
  const unknown = await rig.call("GET", "/v1/cards/mic0/boots/7/log");
  assertEquals(unknown.status, 404);
  assertEquals(
    unknown.body.detail,
    "Cannot find a log of boot 7 of mic0: it has those of 1 to 2",
  );
});

Deno.test("the API says why there is no console to show", async () => {
  await using console = new ConsoleHub({ name: "mic0" });
  await using rig = await ApiRig.start({ console });
  const page = await rig.call("GET", "/v1/cards/mic0/console");
  assertEquals([page.status, page.headers.get("upgrade")], [426, "websocket"]);
  for (const query of ["scrollback=-1", "scrollback=262145", "as=%0a", "speed=9", "write=maybe"]) {
    assertEquals((await rig.call("GET", `/v1/cards/mic0/console?${query}`)).status, 400, query);
  }
  const logs = await rig.call("GET", "/v1/cards/mic0/boots/1/log");
  assertEquals(
    logs.body.detail,
    "Cannot find a log of boot 1 of mic0: this host keeps no logs of consoles",
  );
  await using without = await ApiRig.start();
  assertEquals((await without.call("GET", "/v1/cards/mic0/console/log")).status, 404);
});

Deno.test("the API's server ends with viewers at a console", async () => {
  await using console = new ConsoleHub({ name: "mic0" });
  const rig = await ApiRig.start({ console });
  await using viewer = await SocketConsole.dial(rig.path, "/v1/cards/mic0/console");
  await rig[Symbol.asyncDispose]();
  await viewer.closed;
  assertEquals(console.viewers, 0);
});
