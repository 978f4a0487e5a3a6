import { assertEquals, assertRejects } from "@std/assert";
import { SharedFlush } from "../../host/devices/shared_flush.ts";

/** Syncs that the test ends. */
function disk() {
  const syncs: PromiseWithResolvers<void>[] = [];
  const flush = new SharedFlush(() => {
    const sync = Promise.withResolvers<void>();
    syncs.push(sync);
    return sync.promise;
  });
  return { syncs, flush };
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve));
}

Deno.test("SharedFlush does one sync for all flushes of a batch", async () => {
  const { syncs, flush } = disk();
  const done = [flush.flush(), flush.flush(), flush.flush()];
  await turn();
  assertEquals(syncs.length, 1);
  syncs[0]!.resolve();
  await Promise.all(done);
  assertEquals(syncs.length, 1);
});

Deno.test("SharedFlush gives a flush that comes during a sync the next one, shared with others", async () => {
  const { syncs, flush } = disk();
  const first = flush.flush();
  await turn();
  let answered = false;
  const late = flush.flush().then(() => answered = true);
  const later = flush.flush();
  await turn();
  assertEquals(syncs.length, 1);
  syncs[0]!.resolve();
  await first;
  await turn();
  assertEquals([syncs.length, answered], [2, false]);
  syncs[1]!.resolve();
  await Promise.all([late, later]);
  assertEquals(syncs.length, 2);
});

Deno.test("SharedFlush fails all sharers of a failed sync, and syncs again for the next", async () => {
  const { syncs, flush } = disk();
  const first = assertRejects(() => flush.flush(), Error, "lost");
  const second = assertRejects(() => flush.flush(), Error, "lost");
  await turn();
  const third = flush.flush();
  syncs[0]!.reject(new Error("lost"));
  await Promise.all([first, second]);
  await turn();
  syncs[1]!.resolve();
  await third;
});

Deno.test("SharedFlush passes on what a sync throws, and is none the worse", async () => {
  let calls = 0;
  const flush = new SharedFlush(() => {
    if (calls++ === 0) throw new Error("no");
    return Promise.resolve();
  });
  await assertRejects(() => flush.flush(), Error, "no");
  await flush.flush();
  assertEquals(calls, 2);
});
