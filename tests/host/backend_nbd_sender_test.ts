import { assert, assertEquals } from "@std/assert";
import { COMMAND } from "../../host/backends/nbd/protocol.ts";
import { NbdRequest } from "../../host/backends/nbd/request.ts";
import { RequestSender } from "../../host/backends/nbd/sender.ts";

const KIB = 1024;
const GIB = 1024 * 1024 * KIB;
const LENGTH = 64 * KIB;
const signal = new AbortController().signal;

Deno.test("RequestSender lets go of what it has sent, also while there is always more to send", async () => {
  let left = 512;
  let bytes = 0;
  let crossed = 0;
  const sender = new RequestSender({
    write: (batch) => {
      bytes += batch.length;
      // For each that leaves there is another, so that the queue is never empty.
      for (; crossed < Math.floor(bytes / LENGTH) && left > 0; crossed++) send();
      return Promise.resolve();
    },
  }, (error) => {
    throw error;
  });
  /** A write, of a buffer that is larger than what is sent of it. */
  function send(): void {
    const data = new Uint8Array(8 * KIB * KIB).subarray(0, LENGTH);
    const operation = { command: COMMAND.WRITE, flags: 0, offset: 0, length: LENGTH, data };
    sender.send(new NbdRequest(operation, left--, signal));
  }
  const before = Deno.memoryUsage().external;
  for (let i = 0; i < 8; i++) send();
  await sender.running;
  assertEquals(bytes, 512 * (28 + LENGTH));
  // Of the 4 GiB of buffers that went by; what is not collected yet is well below one.
  const kept = (Deno.memoryUsage().external - before) / GIB;
  assert(kept < 1, `${kept} GiB are kept`);
});
