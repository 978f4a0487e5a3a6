import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { toText } from "@std/streams";
import { missing } from "../support/needs.ts";
import { TerminalChild } from "../support/terminal_child.ts";

const noRun = (await Deno.permissions.query({ name: "run" })).state !== "granted";
const ignore = noRun || await missing("ffi");
const CHILD = new URL("../support/stdio_child.ts", import.meta.url).pathname;
const RUN = ["run", "--no-prompt", CHILD];
const bytesOf = (text: string) => new TextEncoder().encode(text);

Deno.test({
  name:
    "StdioBackend is raw while the card has the port open, tells sizes, leaves by Ctrl-], restores the mode",
  ignore,
}, async () => {
  await using child = new TerminalChild(...RUN, "stay");
  const { screen } = child;
  await screen.until(() => screen.text.includes("ready undefinedxundefined"));
  assert(!child.cooked);
  child.resize(132, 50);
  await screen.until(() => screen.text.includes("[132x50]"));
  child.type("\x03abcdefg");
  await screen.until(() => screen.text.includes("<\x03abc><defg>"));
  child.type("h\x1d");
  await screen.until(() => screen.text.includes("closed"));
  assertStringIncludes(screen.text, "<h>");
  assert(child.cooked);
  child.kill();
});

Deno.test({ name: "The terminal has its mode back when the process exits", ignore }, async () => {
  await using child = new TerminalChild(...RUN, "exit");
  const { screen } = child;
  await screen.until(() => screen.text.includes("ready"));
  assert(!child.cooked);
  child.type("\x1d");
  assertEquals((await child.status).code, 3);
  assert(child.cooked);
});

Deno.test(
  { name: "StdioBackend ends in good order on a terminal that hung up", ignore },
  async () => {
    await using child = new TerminalChild(...RUN, "quiet");
    const { screen } = child;
    await screen.until(() => screen.text.includes("ready"));
    await child.hangUp();
    child.kill("SIGUSR1");
    assertEquals(await child.status, { success: true, code: 0, signal: null });
  },
);

Deno.test({
  name: "StdioBackend waits for a terminal that takes no output, but its process does not",
  ignore,
}, async () => {
  await using child = new TerminalChild(...RUN, "flood");
  const text = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  // Its loop goes on, and its end comes.
  assertStringIncludes((await text.read()).value!, "alive");
  child.kill("SIGUSR1");
  assertEquals((await child.status).success, true);
  await text.cancel();
});

Deno.test({ name: "StdioBackend passes a pipe on, Ctrl-] included", ignore: noRun }, async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", CHILD],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(bytesOf("a\x1d."));
  const stdout = await toText(child.stdout);
  assertStringIncludes(stdout, "ready undefinedxundefined\n<a\x1d.>");
  assertStringIncludes(stdout, "closed");
  assert((await child.status).success);
  await writer.close().catch(() => {});
});
