import { assertEquals, assertRejects } from "@std/assert";
import { Condition, WaitTimeout } from "../../host/driver/condition.ts";

Deno.test("Condition.until() resolves at once when the condition holds", async () => {
  assertEquals(await new Condition().until(() => 7), 7);
});

Deno.test("Condition.until() looks again at every notify", async () => {
  const condition = new Condition();
  const values: number[] = [];
  const waiting = condition.until(() => values[0]);
  condition.notify();
  values.push(3);
  condition.notify();
  assertEquals(await waiting, 3);
});

Deno.test("Condition.until() rejects with what the probe throws", async () => {
  const condition = new Condition();
  let bad = false;
  const waiting = condition.until(() => {
    if (bad) throw new RangeError("bad");
  });
  bad = true;
  condition.notify();
  await assertRejects(() => waiting, RangeError, "bad");
});

Deno.test("Condition.until() rejects with the signal's reason, before and while it waits", async () => {
  const condition = new Condition();
  const abort = new AbortController();
  const waiting = condition.until(() => undefined, { signal: abort.signal });
  abort.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  await assertRejects(() => condition.until(() => 1, { signal: abort.signal }), Error, "enough");
});

Deno.test("Condition.until() rejects with WaitTimeout, and leaves no timer behind", async () => {
  const condition = new Condition();
  await assertRejects(
    () => condition.until(() => undefined, { timeout: 1, describe: () => "no card" }),
    WaitTimeout,
    "no card",
  );
  assertEquals(await condition.until(() => 1, { timeout: 60_000 }), 1);
});
