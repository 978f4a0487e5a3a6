/** The host end of the virtqueue mirror: what it posts, what it refuses, and how a device may hold it. */
import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { FETCH_MAX, MirrorQueue } from "../../host/driver/device_queue.ts";
import {
  CHAIN_RECORD,
  CHAIN_SEGMENT,
  DriverError,
  mirrorSize,
  type SplitRing,
  viewOf,
} from "../../protocol/mod.ts";
import { MemoryRequester } from "../support/memory_requester.ts";

const APERTURE = 0x10_0000_0000;
const REGISTERS = 0x20_0000_0000;
const MSI_EVENT = APERTURE + 0x500;
const DOORBELL = REGISTERS + 0x8000 + 4 * 4;
const USED = 0x3000;
const ring = (size: number): SplitRing => ({
  size,
  descriptorTable: 0x1000,
  availableRing: 0x2000,
  usedRing: USED,
});

interface Made {
  readonly head?: number;
  readonly readable?: readonly [address: number, length: number][];
  readonly writable?: readonly [address: number, length: number][];
  readonly readableLength?: number;
  readonly pushed?: Uint8Array;
  /** Offset in staging; behind the last one, if not given. */
  readonly at?: number;
}

/** A queue whose card is this test: it writes mirror and staging by hand. */
function queueOf(options: { size?: number; maxPayload?: number; start?: number } = {}) {
  const { size = 8, maxPayload = 4096, start = 0 } = options;
  const mirror = new Uint8Array(mirrorSize(size));
  const staging = new Uint8Array(0x1_0000);
  const requester = new MemoryRequester(maxPayload, [
    { base: APERTURE, bytes: new Uint8Array(0x1_0000) },
  ]);
  let index = start;
  let next = 0;
  const setIndex = (value: number) => viewOf(mirror).setUint16(2, value & 0xffff, true);
  setIndex(start);
  const offer = (made: Made = {}) => {
    const { head = index % size, readable = [], writable = [], pushed = new Uint8Array(0) } = made;
    next = made.at ?? next;
    const view = viewOf(staging);
    CHAIN_RECORD.write(view, {
      head,
      readable_count: readable.length,
      writable_count: writable.length,
      reserved: 0,
      readable_length: made.readableLength ?? pushed.length,
      pushed_length: pushed.length,
    }, next);
    const segments = [...readable, ...writable];
    segments.forEach(([address, length], i) =>
      CHAIN_SEGMENT.write(view, { address, length, reserved: 0 }, next + 16 + 16 * i)
    );
    staging.set(pushed, next + 16 + 16 * segments.length);
    viewOf(mirror).setUint32(4 + 4 * (index % size), next, true);
    next = (next + 16 * Math.ceil(1 + segments.length + pushed.length / 16)) % 0xc000;
    setIndex(++index);
  };
  const queue = new MirrorQueue({
    requester,
    apertureBase: APERTURE,
    registerBase: REGISTERS,
    cardMemorySize: 2 ** 33,
    slot: 3,
    index: 2,
    ring: ring(size),
    indices: { available: start, used: start },
    mirror,
    staging,
    msiEventAddress: MSI_EVENT,
  });
  const first = requester.frames.shift()!;
  return { queue, requester, offer, setIndex, mirror, staging, first };
}

const signal = new AbortController().signal;
const spansOf = (requester: MemoryRequester, frame = 0) =>
  requester.frames[frame]!.spans.map(({ address, length }) => [address, length]);

Deno.test("a queue begins by wanting MSI for its first record", () => {
  const { first } = queueOf({ start: 0x1234 });
  assertEquals(first.spans, [{ address: MSI_EVENT, length: 2 }, { address: DOORBELL, length: 4 }]);
  assertEquals(first.bytes, new Uint8Array([0x34, 0x12, 2, 0, 0, 0]));
});

Deno.test("pop() hands out what the card offered, in order, and then nothing", () => {
  const { queue, offer } = queueOf();
  assertEquals([queue.pending, queue.pop()], [false, undefined]);
  offer({ head: 6, pushed: new Uint8Array([1, 2, 3]), writable: [[0x4000, 512], [0x8000, 1]] });
  offer({ head: 1 });
  assertEquals(queue.pending, true);
  const chain = queue.pop()!;
  assertEquals([chain.head, chain.readableLength, chain.writableLength], [6, 3, 513]);
  assertEquals(chain.pushed, new Uint8Array([1, 2, 3]));
  assertStrictEquals(chain.pushed, chain.pushed);
  assertStrictEquals(queue.fetch(chain, signal), chain.pushed);
  assertEquals([queue.pop()?.head, queue.pop(), queue.pending], [1, undefined, false]);
});

Deno.test("pushed bytes are those of the chain, wherever its record lies", () => {
  const { queue, offer } = queueOf();
  const place = [[0, [1, 2, 3]], [64, [4, 5, 6]], [64, [7, 8]], [64, [9, 10]]] as const;
  for (const [at, bytes] of place) {
    offer({ at, pushed: new Uint8Array(bytes) });
    const chain = queue.pop()!;
    assertEquals([...chain.pushed], [...bytes]);
    queue.push(chain, 0);
  }
});

Deno.test("publish() posts elements, used index and doorbell in one write, byte for byte", () => {
  const { queue, requester, offer } = queueOf();
  offer({ head: 3, writable: [[0x4000, 0x300]] });
  offer({ head: 1 });
  const [a, b] = [queue.pop()!, queue.pop()!];
  queue.push(b, 0);
  queue.push(a, 0x201);
  assertEquals(requester.frames, [], "nothing leaves before");
  queue.publish();
  assertEquals(spansOf(requester), [
    [APERTURE + USED + 4, 16],
    [APERTURE + USED + 2, 2],
    [DOORBELL, 4],
  ]);
  assertEquals(
    requester.frames[0]!.bytes,
    new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1, 2, 0, 0, 2, 0, 2, 0, 0, 0]),
  );
  queue.publish();
  assertEquals(requester.frames.length, 1, "nothing new, nothing posted");
});

Deno.test("used elements go round the end of the used ring", () => {
  const { queue, requester, offer } = queueOf({ start: 0xffff });
  offer();
  offer();
  queue.push(queue.pop()!, 0);
  queue.push(queue.pop()!, 0);
  queue.publish();
  assertEquals(spansOf(requester), [
    [APERTURE + USED + 4 + 8 * 7, 8],
    [APERTURE + USED + 4, 8],
    [APERTURE + USED + 2, 2],
    [DOORBELL, 4],
  ]);
  assertEquals(requester.frames[0]!.bytes.subarray(16, 18), new Uint8Array([1, 0]));
});

Deno.test("more used elements than one posted write carries: the index comes with the last", () => {
  const { queue, requester, offer } = queueOf({ size: 1024 });
  for (let i = 0; i < 1024; i++) offer();
  for (let i = 0; i < 1024; i++) queue.push(queue.pop()!, 0);
  queue.publish();
  assertEquals(requester.frames.map((f) => f.bytes.length), [8 * 511, 8 * 511, 8 * 2 + 6]);
  const seen = requester.frames.flatMap((f) =>
    f.spans.filter((s) => s.length % 8 === 0).map((s) => (s.address - APERTURE - USED - 4) / 8)
  );
  assertEquals(seen, [0, 511, 1022]);
});

Deno.test("push() makes room by itself when a card offers heads it has not got back", () => {
  const { queue, requester, offer } = queueOf({ size: 8 });
  for (let i = 0; i < 9; i++) {
    offer({ head: 0 });
    queue.push(queue.pop()!, 0);
  }
  queue.publish();
  assertEquals(requester.frames.map((f) => f.bytes.length), [64 + 6, 8 + 6]);
});

Deno.test("write() lays bytes over the writable segments from any offset, back too", () => {
  const { queue, requester, offer } = queueOf();
  offer({ readable: [[0x100, 9]], readableLength: 9, writable: [[0x4000, 4], [0x5001, 3]] });
  const chain = queue.pop()!;
  queue.write(chain, 3, new Uint8Array([1, 2, 3]));
  queue.write(chain, 6, new Uint8Array([4]));
  queue.write(chain, 0, new Uint8Array([5, 6]));
  queue.write(chain, 7, new Uint8Array(0));
  assertEquals([0, 1, 2].map((i) => spansOf(requester, i)), [
    [[APERTURE + 0x4003, 1], [APERTURE + 0x5001, 2]],
    [[APERTURE + 0x5003, 1]],
    [[APERTURE + 0x4000, 2]],
  ]);
  assertEquals(requester.frames.map((f) => [...f.bytes]), [[1, 2, 3], [4], [5, 6]]);
  for (const [offset, length] of [[0, 8], [7, 1], [-1, 1], [8, 0]] as const) {
    assertThrows(() => queue.write(chain, offset, new Uint8Array(length)), RangeError, "it has 7");
  }
});

Deno.test("writeWith() calls fill once a frame, cut at the largest payload", () => {
  const { queue, requester, offer } = queueOf();
  offer({ writable: [[0x4000, 3000], [0x8000, 3000], [0xc000, 3000]] });
  const calls: [number, number][] = [];
  queue.writeWith(queue.pop()!, 500, 8500, (into, at) => {
    calls.push([at, into.length]);
    into.fill(calls.length);
  });
  assertEquals(calls, [[0, 4096], [4096, 4096], [8192, 308]]);
  assertEquals([0, 1, 2].map((i) => spansOf(requester, i)), [
    [[APERTURE + 0x41f4, 2500], [APERTURE + 0x8000, 1596]],
    [[APERTURE + 0x863c, 1404], [APERTURE + 0xc000, 2692]],
    [[APERTURE + 0xca84, 308]],
  ]);
  assertEquals(requester.frames.map((f) => f.bytes[0]), [1, 2, 3]);
});

Deno.test("writeWith() of 126 segments is one fill where the payload allows it", () => {
  const { queue, requester, offer } = queueOf({ size: 128, maxPayload: 1 << 20 });
  offer({
    writable: Array.from({ length: 126 }, (_, i) => [0x10_0000 + 0x4000 * i, 8192]),
  });
  let calls = 0;
  queue.writeWith(queue.pop()!, 0, 126 * 8192, () => calls++);
  assertEquals([calls, requester.frames[0]!.spans.length], [1, 126]);
});

Deno.test("writeWith() opens at most 1024 spans at once", () => {
  const { queue, requester, offer } = queueOf({ size: 2048, maxPayload: 1 << 20 });
  offer({ writable: Array.from({ length: 1500 }, (_, i) => [0x10_0000 + 16 * i, 2]) });
  queue.writeWith(queue.pop()!, 1, 2999, (into) => into.fill(0));
  assertEquals(requester.frames.map((f) => f.spans.length), [1024, 476]);
});

Deno.test("writeWith() sends zeros and throws on, when fill throws", () => {
  const { queue, requester, offer } = queueOf();
  offer({ writable: [[0x4000, 10_000]] });
  const chain = queue.pop()!;
  const fill = (into: Uint8Array, at: number) => {
    into.fill(0x77);
    if (at > 0) throw new Error("sector 9 is bad");
  };
  assertThrows(() => queue.writeWith(chain, 0, 10_000, fill), Error, "sector 9");
  assertEquals(requester.frames.map((f) => [f.bytes.length, f.bytes[0]]), [[4096, 0x77], [
    4096,
    0,
  ]]);
  queue.push(chain, 1);
});

Deno.test("a chain goes back once", () => {
  const { queue, offer } = queueOf();
  offer({ writable: [[0x4000, 4]] });
  const chain = queue.pop()!;
  assertThrows(() => queue.push(chain, 5), RangeError, "5 bytes written of 4");
  queue.push(chain, 4);
  assertThrows(() => queue.push(chain, 4), TypeError, "given back already");
  assertThrows(() => queue.write(chain, 0, new Uint8Array(1)), TypeError);
  assertThrows(() => queue.fetch(chain, signal), TypeError);
});

Deno.test("fetch() reads what was not pushed, and ends with the signal", async () => {
  const { queue, requester, offer } = queueOf();
  const pushed = new Uint8Array([1, 2, 3]);
  offer({ readable: [[0x100, 2], [0x200, 4]], readableLength: 6, pushed });
  const chain = queue.pop()!;
  const bytes = await queue.fetch(chain, signal);
  assertEquals(bytes, new Uint8Array([1, 2, 3, 0, 0, 0]));
  assertEquals(requester.reads, [{ address: APERTURE + 0x201, length: 3 }]);
  const cancelled = queue.fetch(chain, AbortSignal.abort(new Error("reset"))) as Promise<
    Uint8Array
  >;
  await assertRejects(() => cancelled, Error, "reset");
});

Deno.test("fetch() refuses what no driver asks for, before it allocates", async () => {
  const { queue, offer } = queueOf();
  const length = FETCH_MAX + 1;
  offer({ readable: [[0, length]], readableLength: length });
  const fetched = queue.fetch(queue.pop()!, signal) as Promise<Uint8Array>;
  const error = await assertRejects(() => fetched, DriverError);
  assertEquals(error.fault, "request");
});

Deno.test("pop() refuses more records than the queue can have out", () => {
  const { queue, offer, setIndex } = queueOf({ size: 8 });
  setIndex(9);
  assertEquals(assertThrows(() => queue.pop(), DriverError).fault, "available-index");
  setIndex(0);
  offer();
  queue.pop();
  setIndex(9);
  assertEquals(assertThrows(() => queue.pop(), DriverError).fault, "available-index");
});

Deno.test("pop() refuses a head that is out already, and a record that contradicts itself", () => {
  const { queue, offer } = queueOf();
  offer({ head: 4 });
  offer({ head: 4 });
  queue.pop();
  assertEquals(assertThrows(() => queue.pop(), DriverError).fault, "head-in-flight");
  const other = queueOf();
  other.offer({ writable: [[2 ** 33 - 1, 2]] });
  assertEquals(assertThrows(() => other.queue.pop(), DriverError).fault, "record");
});

Deno.test("what a device writes stays where the record was checked, whatever the card writes later", () => {
  const { queue, requester, offer, staging } = queueOf();
  offer({ writable: [[0x4000, 4]] });
  const chain = queue.pop()!;
  staging.fill(0xff);
  queue.write(chain, 0, new Uint8Array(4));
  assertEquals(spansOf(requester), [[APERTURE + 0x4000, 4]]);
});

Deno.test("wantMsi() tells the card at once, and publish() keeps the event out of the way", () => {
  const { queue, requester, offer } = queueOf();
  const round = () => {
    offer();
    queue.push(queue.pop()!, 0);
    queue.publish();
    return requester.frames.splice(0)[0]!;
  };
  queue.wantMsi(false);
  queue.wantMsi(false);
  assertEquals(requester.frames.splice(0).map((f) => [...f.bytes]), [[0, 0x40, 2, 0, 0, 0]]);
  for (let i = 0; i < 0x2000; i++) assertEquals(round().spans.length, 3);
  const moved = round();
  assertEquals(moved.spans[1], { address: MSI_EVENT, length: 2 });
  assertEquals(moved.bytes.subarray(8, 10), new Uint8Array([0x01, 0x60]));
  queue.wantMsi(true);
  assertEquals([...requester.frames[0]!.bytes], [0x01, 0x20, 2, 0, 0, 0]);
});

Deno.test("wantMsi() asks for the next record, however many are not given back", () => {
  const { queue, requester, offer } = queueOf();
  offer();
  queue.pop();
  queue.wantMsi(false);
  queue.wantMsi(true);
  assertEquals([...requester.frames[1]!.bytes], [1, 0, 2, 0, 0, 0]);
});

Deno.test("after stop() nothing is posted, popped or thrown", async () => {
  const { queue, requester, offer } = queueOf();
  offer({ readable: [[0, 4]], readableLength: 4, writable: [[0x4000, 4]] });
  offer();
  const chain = queue.pop()!;
  queue.stop();
  queue.write(chain, 0, new Uint8Array(4));
  queue.writeWith(chain, 0, 4, () => {
    throw new Error("called");
  });
  queue.push(chain, 4);
  queue.push(chain, 4);
  queue.publish();
  queue.wantMsi(false);
  assertEquals([queue.pending, queue.pop(), requester.frames.length], [false, undefined, 0]);
  const fetched = queue.fetch(chain, signal) as Promise<Uint8Array>;
  await assertRejects(() => fetched, DOMException, "stopped");
});

Deno.test("a queue refuses memory that is too small, and rings outside card memory", () => {
  const make = (mirror: number, staging: number, cardMemorySize: number) => () =>
    new MirrorQueue({
      requester: new MemoryRequester(4096, []),
      apertureBase: APERTURE,
      registerBase: REGISTERS,
      cardMemorySize,
      slot: 0,
      index: 0,
      ring: ring(8),
      indices: { available: 0, used: 0 },
      mirror: new Uint8Array(mirror),
      staging: new Uint8Array(staging),
      msiEventAddress: MSI_EVENT,
    });
  make(36, 144, 0x3046)();
  assertThrows(make(35, 144, 0x4000), RangeError);
  assertThrows(make(36, 143, 0x4000), RangeError);
  assertEquals(assertThrows(make(36, 144, 0x3045), DriverError).fault, "queue-setup");
});
