// What is run before anything counts, the image that benchmarks share, and things that are started at once.
import { assertEquals, assertRejects } from "@std/assert";
import { DISK_BYTES, LOADS, nameOf, sharedDisk, warmUpOf } from "../bench/loads.ts";
import { together } from "../bench/processes.ts";

Deno.test("warmUpOf() has each size and depth, and ends with the kind that counts first", () => {
  const names = warmUpOf(LOADS).map(nameOf);
  assertEquals(new Set(names).size, 12);
  assertEquals(names.slice(-2), ["randwrite 4k, depth 1", "randread 4k, depth 1"]);
});

Deno.test("sharedDisk() makes the image for whoever comes first and leaves it to the others", async () => {
  const folder = await Deno.makeTempDir({ prefix: "knightsbridge-test-" });
  try {
    const path = await sharedDisk(folder);
    assertEquals((await Deno.stat(path)).size, DISK_BYTES);
    await Deno.truncate(path, 1);
    assertEquals(await sharedDisk(folder), path);
    assertEquals((await Deno.stat(path)).size, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("together() has what all of them resolve to", async () => {
  assertEquals(await together([Promise.resolve(1), undefined, "a"]), [1, undefined, "a"]);
});

Deno.test("together() fails when all are through, so that what did start is owned by then", async () => {
  const slow = Promise.withResolvers<void>();
  let owned = false;
  const started = slow.promise.then(() => {
    owned = true;
  });
  const all = assertRejects(
    () => together([started, Promise.reject(new Error("no port"))]),
    Error,
    "no port",
  ).then(() => assertEquals(owned, true));
  setTimeout(slow.resolve, 10);
  await all;
});
