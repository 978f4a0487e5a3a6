import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { type BlockCall, delay, fault, trace } from "../../host/backends/filters.ts";
import { MemoryBackend } from "../../host/backends/memory.ts";

const SIGNAL = new AbortController().signal;
const disk = () => new MemoryBackend(new Uint8Array(8 * 512), { name: "ram" });

Deno.test("trace() says each call and passes it on", async () => {
  const lines: string[] = [];
  const inner = disk();
  await using traced = trace(inner, (line) => lines.push(line));
  assertEquals([traced.name, traced.sectors, traced.synchronous], ["ram", 8, true]);
  traced.write(1, new Uint8Array(1024).fill(5), SIGNAL);
  const into = new Uint8Array(512);
  traced.read(2, into, SIGNAL);
  traced.discard!(7, 1, SIGNAL);
  traced.writeZeroes!(0, 2, true, SIGNAL);
  await traced.flush(SIGNAL);
  assertEquals(lines, [
    "write 2 sectors at 1",
    "read 1 sectors at 2",
    "discard 1 sectors at 7",
    "writeZeroes 2 sectors at 0",
    "flush",
  ]);
  assertEquals(into[0], 5);
  assertEquals([inner.bytes[512], inner.bytes[1024]], [0, 5]);
});

Deno.test("fault() fails the calls it is told to, at once or as a rejected flush, and no others", async () => {
  const error = new Error("worn out");
  const inner = disk();
  await using broken = fault(
    inner,
    ({ operation, sector }) => operation === "flush" || sector === 3 ? error : undefined,
  );
  assertThrows(() => broken.write(3, new Uint8Array(512).fill(1), SIGNAL), Error, "worn out");
  broken.write(4, new Uint8Array(512).fill(1), SIGNAL);
  await assertRejects(() => broken.flush(SIGNAL), Error, "worn out");
  assertEquals([inner.bytes[3 * 512], inner.bytes[4 * 512]], [0, 1]);
});

Deno.test("delay() holds a call back until its wait is over, and is not synchronous", async () => {
  const inner = disk();
  const calls: BlockCall[] = [];
  const gate = Promise.withResolvers<void>();
  await using slow = delay(inner, (call) => {
    calls.push(call);
    return gate.promise;
  });
  assertEquals(slow.synchronous, false);
  const done = slow.write(2, new Uint8Array(512).fill(1), SIGNAL);
  assertInstanceOf(done, Promise);
  assertEquals(inner.bytes[1024], 0);
  gate.resolve();
  await done;
  assertEquals(inner.bytes[1024], 1);
  assertEquals(calls, [{ operation: "write", sector: 2, count: 1 }]);
});

Deno.test("filters lack what the backend behind them lacks, and close it", async () => {
  let closed = 0;
  const bare = {
    name: "bare",
    sectors: 1,
    readOnly: true,
    blockSize: 4096,
    read: () => {},
    write: () => {},
    flush: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => {
      closed++;
      return Promise.resolve();
    },
  };
  {
    await using filtered = trace(delay(bare, () => Promise.resolve()), () => {});
    assertEquals([filtered.discard, filtered.writeZeroes], [undefined, undefined]);
    assertEquals([filtered.readOnly, filtered.blockSize], [true, 4096]);
  }
  assertEquals(closed, 1);
});
