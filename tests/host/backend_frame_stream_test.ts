import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { FrameReader, putFrame } from "../../host/backends/_frame_stream.ts";
import { BackendError } from "../../protocol/mod.ts";

/** An Ethernet frame of `length` bytes behind a virtio-net header, all bytes `fill`. */
function frameOf(length: number, fill: number): Uint8Array {
  return new Uint8Array(12 + length).fill(fill, 12);
}

/** Reads `stream` in pieces of `size` bytes and returns copies of all frames. */
function readIn(size: number, stream: Uint8Array): Uint8Array[] {
  const reader = new FrameReader();
  const frames: Uint8Array[] = [];
  for (let at = 0; at < stream.length; at += size) {
    const piece = stream.subarray(at, at + size);
    reader.space.set(piece);
    reader.filled(piece.length);
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      frames.push(frame.slice());
      reader.taken();
    }
  }
  return frames;
}

Deno.test("putFrame() writes the big-endian length, then the frame without its header", () => {
  const out = new Uint8Array(32);
  const frame = Uint8Array.of(9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, ...new Array(14).fill(7));
  assertEquals(putFrame(frame, out), 18);
  assertEquals([...out.subarray(0, 6)], [0, 0, 0, 14, 7, 7]);
  assertEquals(out[18], 0);
});

Deno.test("FrameReader gives an all-zero header and the same frame until it is taken", () => {
  const reader = new FrameReader();
  const stream = [0, 0, 0, 14, ...new Array(14).fill(1), 0, 0, 0, 15, ...new Array(15).fill(2)];
  reader.space.set(stream);
  reader.filled(stream.length);
  assertEquals(reader.next()!, frameOf(14, 1));
  assertEquals(reader.next()!, frameOf(14, 1));
  reader.taken();
  assertEquals(reader.next()!, frameOf(15, 2));
  reader.taken();
  assertEquals(reader.next(), undefined);
});

Deno.test("FrameReader finds the frames of a stream cut at every byte", () => {
  const frames = [frameOf(14, 1), frameOf(300, 2), frameOf(60, 3)];
  const stream = streamOf(frames);
  for (let size = 1; size <= stream.length; size++) assertEquals(readIn(size, stream), frames);
});

Deno.test("FrameReader returns what putFrame() was given, however it is cut", () => {
  const lengths = fc.array(fc.integer({ min: 14, max: 65535 }), { maxLength: 12 });
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1000, max: 65536 }), (all, size) => {
      const frames = all.map((length, i) => frameOf(length, i + 1));
      assertEquals(readIn(size, streamOf(frames)).map(digest), frames.map(digest));
    }),
    { numRuns: 30 },
  );
});

Deno.test("FrameReader refuses a length that no frame has", () => {
  for (const length of [[0, 0, 0, 0], [0, 0, 0, 13], [0, 1, 0, 0], [255, 255, 255, 255]]) {
    assertThrows(() => readIn(4, Uint8Array.from(length)), BackendError, "wanted 14 to 65535");
  }
});

function streamOf(frames: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(65536 + 4);
  return Uint8Array.from(frames.flatMap((frame) => [...out.subarray(0, putFrame(frame, out))]));
}

/** Length, header and fill: comparing megabytes byte by byte takes long. */
function digest(frame: Uint8Array): string {
  const fill = frame[12]!;
  return `${frame.length} ${frame.subarray(0, 12).join()} ${fill} ${
    frame.subarray(12).every((byte) => byte === fill)
  }`;
}
