import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ProtocolError } from "../../protocol/mod.ts";
import { FrameRules } from "../../protocol/link/frame.ts";
import { FrameReader } from "../../protocol/link/reader.ts";
import { frame, hex } from "../support/link_peer.ts";

const rules = new FrameRules(4096, 4096);
const reader = () => new FrameReader(rules, 1024 * 12 + 4096);

/** Feeds `pieces` one by one; every frame found, as text. */
function decode(into: FrameReader, pieces: Iterable<Uint8Array>): string[] {
  const found: string[] = [];
  for (let piece of pieces) {
    while (piece.length > 0) {
      const space = into.space();
      const part = piece.subarray(0, space.length);
      space.set(part);
      into.filled(part.length);
      piece = piece.subarray(part.length);
      while (into.next()) {
        const body = into.bytes.subarray(into.body, into.body + into.length).toHex();
        found.push(
          `${into.type} ${into.code} ${into.tag} ${into.sequence} ${into.ack} ${body}`,
        );
      }
    }
  }
  return found;
}

/** One frame of every type, with different numbers in every field. */
const FRAMES: [string, string][] = [
  ["01 07 0000 02000000 00000000 01000000 4869", "1 7 0 0 1 4869"],
  [
    "02 00 0000 0c000000 00000000 02000000 010000000200000003000000",
    "2 0 0 0 2 010000000200000003000000",
  ],
  ["03 00 0000 04000000 00000000 03000000 78563412", "3 0 0 0 3 78563412"],
  ["04 00 0000 04000000 00000000 04000000 78563412", "4 0 0 0 4 78563412"],
  [
    "10 00 0100 0f000000 05000000 06000000 0010000000000000 03000000 aabbcc",
    "16 0 1 5 6 001000000000000003000000aabbcc",
  ],
  ["11 00 0200 08000000 06000000 07000000 1900000000000000", "17 0 2 6 7 1900000000000000"],
  [
    "20 00 ffff 0c000000 07000000 08000000 001000000000000000100000",
    "32 0 65535 7 8 001000000000000000100000",
  ],
  ["21 04 0300 04000000 08000000 09000000 10000000", "33 4 3 8 9 10000000"],
  ["22 02 0400 08000000 09000000 0a000000 0400000006000000", "34 2 4 9 10 0400000006000000"],
  ["23 01 0500 04000000 0a000000 ffffffff 80000000", "35 1 5 10 4294967295 80000000"],
  [
    "24 01 0600 08000000 ffffffff 0b000000 80000000ff000000",
    "36 1 6 4294967295 11 80000000ff000000",
  ],
  ["30 00 0700 05000000 0b000000 0c000000 0102030405", "48 0 7 11 12 0102030405"],
  ["30 01 0800 00000000 0c000000 0d000000", "48 1 8 12 13 "],
];
const STREAM = hex(FRAMES.map(([bytes]) => bytes).join(""));
const WANTED = FRAMES.map(([, text]) => text);

for (const [bytes, text] of FRAMES) {
  Deno.test(`FrameReader reads ${text}, cut at every byte`, () => {
    const whole = hex(bytes);
    for (let cut = 0; cut <= whole.length; cut++) {
      assertEquals(decode(reader(), [whole.subarray(0, cut), whole.subarray(cut)]), [text]);
    }
  });
}

Deno.test("FrameReader reads a stream of all frames, byte by byte and at once", () => {
  assertEquals(decode(reader(), [STREAM]), WANTED);
  assertEquals(decode(reader(), Array.from(STREAM, (_, i) => STREAM.subarray(i, i + 1))), WANTED);
});

Deno.test("FrameReader reads the same frames however the stream is cut", () => {
  const long = new Uint8Array(STREAM.length * 40);
  for (let i = 0; i < 40; i++) long.set(STREAM, i * STREAM.length);
  const wanted = Array.from({ length: 40 }, () => WANTED).flat();
  fc.assert(
    fc.property(fc.array(fc.nat(long.length), { maxLength: 30 }), (cuts) => {
      const edges = [0, ...cuts.toSorted((a, b) => a - b), long.length];
      const pieces = edges.slice(1).map((end, i) => long.subarray(edges[i], end));
      assertEquals(decode(reader(), pieces), wanted);
    }),
    { numRuns: 50 },
  );
});

Deno.test("FrameReader keeps room for the largest frame, wherever in the buffer it starts", () => {
  const body = new Uint8Array(12 + 4096);
  const one = frame(0x10, { tag: 1, sequence: 1 }, body);
  const into = reader();
  let found = 0;
  // 7 bytes of each frame come with the one before, so starts drift through the buffer.
  for (let round = 0; round < 300; round++) {
    found += decode(into, [one.subarray(round === 0 ? 0 : 7), one.subarray(0, 7)]).length;
  }
  assertEquals(found, 300);
});

Deno.test("FrameReader makes room for all of a large frame that starts near the end of its buffer", () => {
  const largest = 1024 * 12 + 1024 * 1024;
  const into = new FrameReader(new FrameRules(1024 * 1024, 4096), largest);
  const one = frame(0x10, { tag: 1, sequence: 1 }, new Uint8Array(12 + 1_000_000));
  let found = 0;
  for (let round = 0; round < 5; round++) {
    for (let have = 0; have < one.length;) {
      const space = into.space();
      assert(space.length > 0, "no room");
      const count = Math.min(space.length, one.length - have, 65_536);
      space.set(one.subarray(have, have + count));
      into.filled(count);
      have += count;
      if (into.next()) found++;
    }
    // A header of the next frame keeps the buffer from starting over.
    into.space().set(one.subarray(0, 16));
    into.filled(16);
    into.next();
    into.space().set(one.subarray(16, 20));
    into.filled(4);
    for (let have = 20; have < one.length;) {
      const space = into.space();
      assert(space.length > 0, "no room");
      const count = Math.min(space.length, one.length - have);
      space.set(one.subarray(have, have + count));
      into.filled(count);
      have += count;
    }
    if (into.next()) found++;
  }
  assertEquals(found, 10);
});

const BAD = [
  { when: "its type is unknown", bytes: "05 00 0000 00000000 00000000 00000000" },
  { when: "its type is 0", bytes: "00 00 0000 00000000 00000000 00000000" },
  { when: "it is longer than any of its type", bytes: "10 00 0100 01400000 00000000 00000000" },
  { when: "its length has all bits", bytes: "30 00 0000 ffffffff 00000000 00000000" },
  { when: "it is shorter than any of its type", bytes: "20 00 0000 0b000000 00000000 00000000" },
];
for (const { when, bytes } of BAD) {
  Deno.test(`FrameReader.next() refuses a frame by its header alone when ${when}`, () => {
    assertEquals(
      assertThrows(() => decode(reader(), [hex(bytes)]), ProtocolError).reason,
      "malformed",
    );
  });
}
