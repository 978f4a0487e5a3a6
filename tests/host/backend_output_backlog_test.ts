import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { OutputBacklog } from "../../host/backends/output_backlog.ts";

const CAPACITY = 64 * 1024;
const bytesOf = (text: string) => new TextEncoder().encode(text);

function take(backlog: OutputBacklog, size = 4096): string {
  const into = new Uint8Array(size);
  return new TextDecoder().decode(into.subarray(0, backlog.take(into)));
}

function takeAll(backlog: OutputBacklog): string {
  let all = "";
  for (let text = take(backlog); text !== ""; text = take(backlog)) all += text;
  return all;
}

Deno.test("OutputBacklog keeps the newest 64 KiB without a mark, while there is no reader", () => {
  using backlog = new OutputBacklog(() => {});
  assertEquals(backlog.write(new Uint8Array(CAPACITY).fill(0x61)), undefined);
  assertEquals(backlog.write(bytesOf("end")), undefined);
  backlog.attach();
  const all = takeAll(backlog);
  assertEquals(all.length, CAPACITY);
  assert(all.startsWith("aaa") && all.endsWith("aend"));
});

Deno.test("OutputBacklog keeps the end of a write longer than itself", () => {
  using backlog = new OutputBacklog(() => {});
  const long = new Uint8Array(CAPACITY + 5).fill(0x61);
  long.set(bytesOf("front"));
  backlog.write(long);
  backlog.attach();
  assertEquals(takeAll(backlog), "a".repeat(CAPACITY));
});

Deno.test("OutputBacklog.write() waits for a reader that reads, and loses nothing", async () => {
  using backlog = new OutputBacklog(() => {});
  backlog.attach();
  const text = "0123456789".repeat(15_000);
  let done = false;
  const written = Promise.resolve(backlog.write(bytesOf(text))).then(() => done = true);
  let all = take(backlog);
  await Promise.resolve();
  assertEquals(done, false);
  while (all.length < text.length) all += take(backlog);
  assertEquals(all, text);
  await written;
});

Deno.test("OutputBacklog.write() gives up on a sleeping reader, who finds a mark", async () => {
  using backlog = new OutputBacklog(() => {}, { patience: 1 });
  backlog.attach();
  await backlog.write(new Uint8Array(CAPACITY + 100).fill(0x61));
  assertEquals(backlog.write(bytesOf("bcd")), undefined, "still asleep: not waited for again");
  const all = takeAll(backlog);
  assert(all.startsWith("\r\n[knightsbridge: 103 bytes lost]\r\naaa"), all.slice(0, 50));
  assert(all.endsWith("abcd"));
});

Deno.test("OutputBacklog does not take its own sleep for the reader's", async () => {
  using backlog = new OutputBacklog(() => {}, { patience: 400 });
  backlog.attach();
  const written = backlog.write(new Uint8Array(CAPACITY + 1).fill(0x61));
  // As a process that was stopped, or a disk that kept it.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(takeAll(backlog).length, CAPACITY + 1);
  await written;
});

Deno.test("OutputBacklog.detach() ends a wait", async () => {
  using backlog = new OutputBacklog(() => {});
  backlog.attach();
  const written = backlog.write(new Uint8Array(CAPACITY + 1));
  assert(written instanceof Promise);
  backlog.detach();
  await written;
});

Deno.test("OutputBacklog returns what was written, in order, whatever the pieces", () => {
  const pieces = fc.array(fc.record({
    write: fc.string({ maxLength: 30_000, unit: "grapheme-ascii", minLength: 1 }),
    take: fc.integer({ min: 64, max: 40_000 }),
  }));
  fc.assert(fc.property(pieces, (all) => {
    using backlog = new OutputBacklog(() => {});
    let model = "";
    for (const piece of all) {
      backlog.write(bytesOf(piece.write));
      model = (model + piece.write).slice(-CAPACITY);
      const taken = take(backlog, piece.take);
      assertEquals(taken, model.slice(0, piece.take));
      model = model.slice(taken.length);
    }
  }));
});
