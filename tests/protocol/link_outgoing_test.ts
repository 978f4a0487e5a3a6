import { assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../protocol/mod.ts";
import { SendCredits } from "../../protocol/link/credits.ts";
import { TYPE } from "../../protocol/link/frame.ts";
import { Incoming } from "../../protocol/link/incoming.ts";
import { limitsOf } from "../../protocol/link/limits.ts";
import { Outgoing } from "../../protocol/link/outgoing.ts";

const FIRST = 0xffff_ff00;

function outgoing(frames = 1000) {
  const credits = new SendCredits();
  credits.update(2 ** 29, frames, 100);
  const counters = {
    framesSent: 0,
    framesReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    framesReplayed: 0,
    reconnects: 0,
    unsupported: 0,
    roundTrip: 0,
  };
  const out = new Outgoing(credits, new Incoming(limitsOf()), counters, BODY, 3 * CHUNK);
  return { out, credits };
}
/** The largest body is half a chunk and more of the rest. */
const BODY = 600_000;
const CHUNK = 2 * (16 + BODY);
/** Encodes `count` messages; each is 24 bytes. */
function messages(out: Outgoing, count: number): void {
  for (let n = 0; n < count; n++) out.begin(TYPE.message, 0, 1, 8);
}
/** Sequence numbers of the next segment, from the first of the session on. */
function take(out: Outgoing): number[] {
  const segment = out.nextSegment();
  if (!segment) return [];
  const view = new DataView(segment.buffer, segment.byteOffset, segment.length);
  const found = [];
  for (let at = 0; at < segment.length; at += 16 + view.getUint32(at + 4, true)) {
    found.push((view.getUint32(at + 8, true) - FIRST) | 0);
  }
  return found;
}

Deno.test("Outgoing gives out each frame once, and appends behind a segment that is being written", () => {
  const { out } = outgoing();
  messages(out, 2);
  assertEquals(take(out), [0, 1]);
  messages(out, 1);
  assertEquals(take(out), [2]);
  assertEquals(take(out), []);
});

Deno.test("Outgoing starts over in the same buffer when all is acknowledged and written", () => {
  const { out } = outgoing();
  const first = out.begin(TYPE.message, 0, 1, 8);
  take(out);
  out.acknowledge(FIRST);
  assertEquals(out.begin(TYPE.message, 0, 1, 8), first + 24, "the transport still reads it");
  take(out);
  out.acknowledge(FIRST + 1);
  out.written();
  assertEquals([out.begin(TYPE.message, 0, 1, 8), out.backlog], [first, 24]);
});

Deno.test("Outgoing goes on in a new chunk when one is full, and counts both until acknowledged", () => {
  const { out } = outgoing();
  for (let n = 0; n < 3; n++) out.begin(TYPE.memory_write, 0, 1, 500_000);
  assertEquals(out.backlog, 3 * 500_016);
  assertEquals([take(out), take(out)], [[0, 1], [2]]);
  out.written();
  out.acknowledge(FIRST + 1);
  assertEquals(out.backlog, 500_016);
  out.acknowledge(FIRST + 2);
  assertEquals(out.backlog, 0);
});

Deno.test("Outgoing.rewind() gives out again what was not received, from the middle of a chunk", () => {
  const { out } = outgoing();
  for (let n = 0; n < 5; n++) out.begin(TYPE.memory_write, 0, 1, 500_000);
  while (take(out).length > 0);
  assertEquals(out.rewind(FIRST), 4);
  assertEquals([take(out), take(out), take(out), take(out)], [[1], [2, 3], [4], []]);
});

Deno.test("Outgoing.rewind() after a write that was acknowledged but never finished sends none of it", () => {
  const { out } = outgoing();
  messages(out, 2);
  take(out);
  out.acknowledge(FIRST + 1);
  assertEquals(out.rewind(FIRST + 1), 0);
  assertEquals(take(out), []);
  messages(out, 1);
  assertEquals(take(out), [2]);
});

Deno.test("Outgoing.rewind() leaves alone what was never sent", () => {
  const { out } = outgoing();
  messages(out, 2);
  assertEquals(out.rewind(FIRST - 1), 0);
  assertEquals(take(out), [0, 1]);
});

Deno.test("Outgoing.rewind() takes no credit twice and lets no held frame go", () => {
  const { out, credits } = outgoing(2);
  messages(out, 4);
  assertEquals(take(out), [0, 1]);
  out.rewind(FIRST - 1);
  assertEquals(take(out), [0, 1]);
  assertEquals(take(out), []);
  credits.update(2 ** 29, 3, 100);
  out.release();
  assertEquals(take(out), [2]);
});

for (const received of [FIRST - 1, FIRST + 2]) {
  Deno.test(`Outgoing.rewind() refuses ${received.toString(16)} after 1 of 2 was acknowledged`, () => {
    const { out } = outgoing();
    messages(out, 2);
    take(out);
    out.acknowledge(FIRST);
    assertEquals(assertThrows(() => out.rewind(received), ProtocolError).reason, "sequence");
  });
}

Deno.test("Outgoing.acknowledge() passes over an older number and refuses one that was not sent", () => {
  const { out } = outgoing(1);
  messages(out, 2);
  take(out);
  out.acknowledge(FIRST);
  out.acknowledge(FIRST - 1);
  assertThrows(() => out.acknowledge(FIRST + 1), ProtocolError, "last one sent is");
});

Deno.test("Outgoing.acknowledge() after a rewind() waits until a frame was sent again", () => {
  const { out } = outgoing();
  messages(out, 2);
  take(out);
  out.rewind(FIRST);
  assertThrows(() => out.acknowledge(FIRST + 1), ProtocolError, "last one sent is");
});

Deno.test("Outgoing counts what no transport was given, once more after a rewind()", () => {
  const { out } = outgoing();
  messages(out, 2);
  assertEquals(out.unsent, 48);
  take(out);
  messages(out, 1);
  assertEquals(out.unsent, 24);
  out.rewind(FIRST);
  assertEquals(out.unsent, 48);
  take(out);
  out.written();
  out.acknowledge(FIRST + 2);
  assertEquals([out.unsent, out.backlog], [0, 0]);
});

Deno.test("Outgoing keeps empty chunks for what is usual, and trim() lets go of those that were not needed", () => {
  const { out } = outgoing();
  /** One frame in each of so many chunks, sent and acknowledged. */
  const fill = (chunks: number) => {
    for (let n = 0; n < chunks; n++) out.begin(TYPE.memory_write, 0, 1, BODY);
    for (let n = 0; n < chunks; n++) out.begin(TYPE.memory_write, 0, 1, BODY);
    assertEquals(out.heldBytes >= chunks * CHUNK, true);
    while (take(out).length > 0);
    out.written();
    out.acknowledge(out.sequence);
  };
  fill(10);
  assertEquals(
    out.heldBytes,
    5 * CHUNK,
    "three that are usual, one that is being filled, one to spare",
  );
  out.trim();
  assertEquals(out.heldBytes, 5 * CHUNK, "all were in use since the last time");
  fill(2);
  out.trim();
  assertEquals(out.heldBytes, 2 * CHUNK);
  out.trim();
  assertEquals(out.heldBytes, CHUNK);
});

Deno.test("Outgoing.truncate() leaves a completion without data", () => {
  const { out } = outgoing();
  const at = out.begin(TYPE.completion, 0, 7, 4096);
  out.truncate(at, 1);
  messages(out, 1);
  assertEquals([out.backlog, take(out)], [40, [0, 1]]);
});
