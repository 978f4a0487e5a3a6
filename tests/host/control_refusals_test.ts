import { assertEquals } from "@std/assert";
import { RefusalLog } from "../../host/control/refusals.ts";

const refusal = (peer: string, fingerprint?: string) => ({ peer, fingerprint, text: "why" });

/** A log, and the lines it told. */
function refusalLog() {
  const lines: string[] = [];
  const log = new RefusalLog((_event, line) => lines.push(line));
  return { log, lines };
}

Deno.test("note() tells of a certificate once, wherever it comes from, and sumUp() of every time", () => {
  const { log, lines } = refusalLog();
  log.note(refusal("10.0.0.1:1", "aa"));
  log.note(refusal("10.0.0.2:2", "aa"));
  log.note(refusal("10.0.0.1:3", "bb"));
  assertEquals(lines, ["refused 10.0.0.1:1: identity, why", "refused 10.0.0.1:3: identity, why"]);
  log.sumUp();
  assertEquals(lines.at(-1), "turned 3 connections away");
});

Deno.test("note() tells of an address that proved no certificate once, and again for another reason", () => {
  const { log, lines } = refusalLog();
  log.note(refusal("10.0.0.1:1"));
  log.note(refusal("10.0.0.1:2"));
  log.note(refusal("[fe80::1]:2"));
  log.note(refusal("10.0.0.1:3"), "busy");
  log.note(refusal("10.0.0.1:4"), "busy");
  assertEquals(lines.map((line) => line.split(" ")[1]), [
    "10.0.0.1:1:",
    "[fe80::1]:2:",
    "10.0.0.1:3:",
  ]);
});

Deno.test("note() remembers no more strangers than it has room for", () => {
  const { log, lines } = refusalLog();
  for (let i = 0; i < 1000; i++) log.note(refusal("10.0.0.1:1", `${i}`));
  assertEquals(lines.length, 256);
  log.sumUp();
  assertEquals(lines.at(-1), "turned 1000 connections away");
});

Deno.test("sumUp() says nothing of nothing", () => {
  const { log, lines } = refusalLog();
  log.sumUp();
  assertEquals(lines, []);
});
