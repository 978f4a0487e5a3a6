// A card's console through ctl: typed at on one terminal, seen on others, kept over boots and on disk.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { taskArguments } from "../../scripts/cli/tasks.ts";
import { Ctl } from "../support/ctl.ts";
import { Lab, temporaryFolder } from "../support/lab.ts";
import { LabProcess } from "../support/lab_process.ts";
import { missing } from "../support/needs.ts";
import { TerminalChild } from "../support/terminal_child.ts";

const noFfi = await missing("ffi");

async function start(folder: string) {
  const ctl = new Ctl(`${folder}/host.sock`);
  const host = ["--console", "none", "--control", ctl.control];
  const lab = await Lab.start({ os: "diag", host });
  await lab.host.event(({ type }) => type === "control");
  return { ctl, lab };
}

/** `ctl console mic0` with pipes: what it shows is its stdout. */
const piped = (ctl: Ctl, ...words: string[]) =>
  LabProcess.start("ctl", ["--control", ctl.control, "console", "mic0", ...words]);

Deno.test({
  name: "ctl console types on one terminal, is seen on others, is taken over and given back",
  ignore: noFfi,
}, async () => {
  await using folder = await temporaryFolder();
  const { ctl, lab } = await start(folder.path);
  await using _lab = lab;
  await ctl.says(0, "wait", "mic0", "--state", "online");
  const words = ["--control", ctl.control, "console", "mic0"];
  await using terminal = new TerminalChild(...await taskArguments("ctl"), ...words);
  const { screen } = terminal;
  await screen.until(() => screen.text.endsWith("diag# "));
  assert(!terminal.cooked);
  await using reader = await piped(ctl, "--read-only");
  await using second = await piped(ctl);
  await second.output(/read only: ctl \d+ has the keyboard/);

  terminal.type("echo one-$1\r");
  await screen.until(() => screen.text.includes("\none-"));
  for (const each of [reader, second]) await each.output(/echo one-/);
  await second.type("echo never\r");

  await using thief = await piped(ctl, "--takeover");
  await screen.until(() => screen.text.includes("has taken the keyboard: this is read only now"));
  await thief.type("echo two\r");
  await screen.until(() => screen.text.includes("\ntwo\r\n"));
  terminal.type("\x1d");
  assertEquals((await terminal.status).code, 0);
  assert(terminal.cooked);
  await terminal.stderr.cancel();
  assert(!reader.stdout.includes("never"));

  assertStringIncludes(await ctl.says(2, "console", "mic7"), "Cannot find card mic7");
  // A host that ends says goodbye to who looks on.
  await lab[Symbol.asyncDispose]();
  assertEquals(await reader.ended, 3);
});

Deno.test("the scrollback has a card's first words of two boots, and each boot's log its own, with times", async () => {
  await using folder = await temporaryFolder();
  const config = `${folder.path}/knightsbridge.jsonc`;
  const ctl = new Ctl(`${folder.path}/host.sock`);
  const cards = { mic0: { os: "diag", console: ["none"] } };
  await Deno.writeTextFile(config, JSON.stringify({ state: `${folder.path}/state`, cards }));
  await using lab = await Lab.start({
    os: "diag",
    host: ["--config", config, "--control", ctl.control],
  });
  await lab.host.event(({ type }) => type === "control");
  await ctl.says(0, "wait", "mic0", "--state", "online");
  await using viewer = await piped(ctl, "--scrollback", "262144");
  await viewer.output(/^\r\n\[knightsbridge: boot 1 of mic0 begins, [^]*diag# $/);
  await viewer.type("echo of the first\r");
  await viewer.output(/\nof the first\r\ndiag# $/);
  await ctl.says(0, "reset", "mic0", "--wait");
  await ctl.says(0, "boot", "mic0", "--wait");
  await viewer.output(/of the first\r\ndiag# [^]*diag# $/);

  await using late = await piped(ctl, "--read-only", "--scrollback", "262144");
  await late.output(
    /^\r\n.knightsbridge: boot 1 of mic0 [^]*of the first[^]*boot 2 of mic0 begins[^]*diag# $/,
  );
  const stamped = /^\d{4}-\d\d-\d\dT[\d:.]{12}Z .*\n/;
  for (const boot of ["1", "2"]) {
    const log = await ctl.says(0, "log", "mic0", "--console", "--boot", boot);
    assertMatch(log, stamped);
    assertEquals(log.includes("Z of the first\n"), boot === "1");
  }
});
