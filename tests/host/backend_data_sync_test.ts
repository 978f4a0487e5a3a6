import { assertEquals, assertRejects } from "@std/assert";
import { DataSync } from "../../host/backends/_data_sync.ts";

Deno.test("DataSync fails for ever after one sync failed, without trying again", async () => {
  const outcomes = [undefined, new Error("EIO"), undefined];
  let calls = 0;
  const sync = new DataSync(() => {
    const outcome = outcomes[calls++];
    return outcome ? Promise.reject(outcome) : Promise.resolve();
  });
  await sync.run();
  await assertRejects(() => sync.run(), Error, "EIO");
  await assertRejects(() => sync.run(), Error, "EIO");
  assertEquals(calls, 2);
});

Deno.test("DataSync.settled() waits for every sync, failed ones too", async () => {
  const running = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let next = 0;
  const sync = new DataSync(() => running[next++]!.promise);
  const results = Promise.allSettled([sync.run(), sync.run()]);
  let settled = false;
  const waiting = sync.settled().then(() => settled = true);
  running[1]!.reject(new Error("EIO"));
  for (let i = 0; i < 10; i++) await Promise.resolve();
  assertEquals(settled, false);
  running[0]!.resolve();
  await waiting;
  await results;
});
