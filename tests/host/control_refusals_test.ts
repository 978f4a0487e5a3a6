import { assertEquals } from "@std/assert";
import { RefusalLog } from "../../host/control/refusals.ts";

const refusal = (peer: string, fingerprint?: string) => ({ peer, fingerprint, text: "" });

Deno.test("note() is true once for a certificate, wherever it comes from, and counts every time", () => {
  const log = new RefusalLog();
  assertEquals(log.note(refusal("10.0.0.1:1", "aa"), "identity"), true);
  assertEquals(log.note(refusal("10.0.0.2:2", "aa"), "identity"), false);
  assertEquals(log.note(refusal("10.0.0.1:3", "bb"), "identity"), true);
  assertEquals(log.count, 3);
});

Deno.test("note() is true once for an address that proved no certificate", () => {
  const log = new RefusalLog();
  assertEquals(log.note(refusal("10.0.0.1:1"), "identity"), true);
  assertEquals(log.note(refusal("10.0.0.1:2"), "identity"), false);
  assertEquals(log.note(refusal("[fe80::1]:2"), "identity"), true);
  assertEquals(log.count, 3);
});

Deno.test("note() remembers no more strangers than it has room for", () => {
  const log = new RefusalLog();
  let told = 0;
  for (let i = 0; i < 1000; i++) {
    told += Number(log.note(refusal("10.0.0.1:1", `${i}`), "identity"));
  }
  assertEquals([told, log.count], [256, 1000]);
});

Deno.test("note() is true once for each reason", () => {
  const log = new RefusalLog();
  assertEquals(log.note(refusal("10.0.0.1:1"), "busy"), true);
  assertEquals(log.note(refusal("10.0.0.1:2"), "malformed"), true);
  assertEquals(log.note(refusal("10.0.0.1:3"), "busy"), false);
});
