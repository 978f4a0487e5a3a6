/** The posting half of the mirror: how records are gathered into posted writes. */
import { assertEquals } from "@std/assert";
import { MirrorWriter } from "../../card/driver/mirror_writer.ts";
import { ChainWalker, viewOf, VIRTQ_DESC } from "../../protocol/mod.ts";
import { MemoryRequester } from "../support/memory_requester.ts";

const SIZE = 2048;
const MIRROR = 0x1000_0000;
const STAGING = 0x2000_0000;

function writerOf(maxPayload: number, index = 0) {
  const memory = new Uint8Array(0x1_0000);
  VIRTQ_DESC.write(viewOf(memory), { addr: 0x9000, len: 8, flags: 0, next: 0 });
  VIRTQ_DESC.write(viewOf(memory), { addr: 0x9000, len: 24, flags: 0, next: 0 }, 16);
  const requester = new MemoryRequester(maxPayload, []);
  const walker = new ChainWalker({
    ring: { size: SIZE, descriptorTable: 0, availableRing: 0, usedRing: 0 },
    memorySize: memory.length,
    indirect: false,
    capacity: 2 * SIZE,
  });
  let msis = 0;
  const writer = new MirrorWriter({
    requester,
    row: {
      mirrorAddress: MIRROR,
      stagingAddress: STAGING,
      stagingLength: 0x10_0000,
      pushLimit: 64,
      msiEvent: () => 0x8000,
    },
    queueSize: SIZE,
    index,
    sendMsi: () => msis++,
  });
  /** Chain 0 has 8 readable bytes, a record of 32; chain 1 has 24, a record of 48. */
  const add = (offset: number, head: 0 | 1 = 0) => {
    const base = writer.nextBase(memory, walker);
    walker.walk(viewOf(memory), head, base);
    writer.add(memory, walker, base, head, walker.readableLength, offset);
  };
  return { requester, writer, add, post: () => writer.post(memory, walker), msis: () => msis };
}

Deno.test("records side by side in staging leave in one span", () => {
  const { requester, add, post } = writerOf(8192);
  for (const offset of [64, 96, 128, 0, 32]) add(offset);
  post();
  assertEquals(requester.frames[0]!.spans, [
    { address: STAGING + 64, length: 96 },
    { address: STAGING, length: 64 },
    { address: MIRROR + 4, length: 20 },
    { address: MIRROR + 2, length: 2 },
  ]);
});

Deno.test("ring entries go round the end of the mirror ring", () => {
  const { requester, add, post } = writerOf(8192, SIZE - 1);
  add(0);
  add(32);
  post();
  assertEquals(requester.frames[0]!.spans.slice(1), [
    { address: MIRROR + 4 + 4 * (SIZE - 1), length: 4 },
    { address: MIRROR + 4, length: 4 },
    { address: MIRROR + 2, length: 2 },
  ]);
});

Deno.test("a full posted write leaves, to the last byte, before the next record", () => {
  // 113 records with their entries take 113 × 36 = 4068 of 4096 bytes, the index two more.
  const { requester, add, post } = writerOf(4096);
  for (let i = 0; i < 114; i++) add(32 * i);
  assertEquals(requester.frames.map((f) => f.bytes.length), [4070]);
  post();
  assertEquals(requester.frames.map((f) => f.bytes.length), [4070, 38]);
});

Deno.test("the index has its place in a posted write that records would fill", () => {
  // 108 × 32 + 4 × 48 + 112 × 4 = 4096.
  const { requester, add, post } = writerOf(4096);
  for (let i = 0; i < 112; i++) add(48 * i, i < 108 ? 0 : 1);
  post();
  assertEquals(requester.frames.map((f) => f.bytes.length), [4096 - 52 + 2, 52 + 2]);
});

Deno.test("a posted write has at most 1024 spans", () => {
  const { requester, add, post } = writerOf(1 << 20);
  for (let i = 0; i < 1500; i++) add(64 * i);
  post();
  assertEquals(requester.frames.map((f) => f.spans.length), [1021 + 2, 1500 - 1021 + 2]);
});

Deno.test("nextBase() makes room for any chain in the walker", () => {
  const { requester, writer, add } = writerOf(1 << 20);
  for (let i = 0; i < 1020; i++) add(32 * i);
  assertEquals(writer.index, 0);
  for (let i = 1020; i < SIZE + 1; i++) add(32 * i);
  assertEquals(requester.frames.length, 0);
  add(0x9_0000);
  assertEquals([requester.frames.length, writer.index], [1, SIZE + 1]);
});

Deno.test("post() of nothing posts nothing", () => {
  const { requester, post, msis } = writerOf(4096);
  post();
  assertEquals([requester.frames.length, msis()], [0, 0]);
});
