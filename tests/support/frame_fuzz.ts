/**
 * Streams that no honest peer sends: greetings and frames, each near enough to a right one to get far.
 *
 * A stream is generated as operations and encoded in order, so that sequence numbers and tags are right most of the
 * time; what is wrong is wrong in one place. {@linkcode attack} plays one against a link and says what must not be.
 *
 * @module
 */
import fc from "fast-check";
import { assert } from "@std/assert";
import { GREETING } from "../../protocol/link/greeting.ts";
import {
  dialLink,
  type Link,
  type LinkLimits,
  LinkServer,
  type LinkStatus,
  memoryTransportPair,
  type Transport,
} from "../../protocol/mod.ts";
import { RecordingCompleter } from "./link_completer.ts";
import { frame, rawCard, rawHost, type Victim } from "./link_peer.ts";

const FIRST = 0xffff_ff00;

/** One thing that a hostile peer does. */
export type Operation =
  | { readonly do: "frame"; readonly sequence: number | "next"; readonly frame: FrameFields }
  | { readonly do: "bytes"; readonly bytes: Uint8Array };

interface FrameFields {
  readonly type: number;
  readonly code: number;
  readonly tag: number;
  readonly ack: number;
  /** What the header says, where it is not the body's. */
  readonly length: number | undefined;
  readonly body: Uint8Array;
}

const u32 = (value: number) => [0, 8, 16, 24].map((bits) => value >>> bits & 0xff);

/** Numbers at which things go wrong. */
const number32 = fc.oneof(
  fc.nat(16),
  fc.constantFrom(0x7f, 0xfff, 4096, 4097, 16_384, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1),
  fc.nat(0xffff_ffff),
);
/** Addresses in and beyond the memory of the completer, and in no bus. */
const address = fc.oneof(
  fc.nat(0x1_0000).map((low) => [...u32(low), 0, 0, 0, 0]),
  fc.tuple(number32, number32).map(([low, high]) => [...u32(low), ...u32(high)]),
);
/** Mostly `right`, so that one stream has few things that are wrong. */
const mostly = <T>(right: fc.Arbitrary<T>, wrong: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 24, arbitrary: right }, { weight: 1, arbitrary: wrong });
const width = mostly(fc.constantFrom(1, 2, 4), fc.nat(255));

const memoryWrite = fc.record({
  spans: fc.array(fc.tuple(address, fc.nat(64)), { minLength: 1, maxLength: 5 }),
  wrong: mostly(fc.constant(0), fc.integer({ min: -20, max: 20 })),
}).map(({ spans, wrong }) => {
  const table = spans.flatMap(([address, length]) => [...address, ...u32(length)]);
  const data = spans.reduce((sum, [, length]) => sum + length, 0);
  const body = new Uint8Array(Math.max(0, table.length + data + wrong));
  body.set(table.slice(0, body.length));
  return { type: 0x10, tag: spans.length, body };
});
const readLength = mostly(fc.integer({ min: 1, max: 4096 }), number32);
const memoryRead = fc.tuple(fc.nat(0xffff), address, readLength).map(([tag, address, length]) => ({
  type: 0x20,
  tag,
  body: Uint8Array.of(...address, ...u32(length)),
}));
const register = fc.record({
  type: fc.constantFrom(0x21, 0x22, 0x23, 0x24),
  code: width,
  tag: fc.nat(0xffff),
  words: fc.tuple(number32, mostly(fc.nat(255), number32)),
}).map(({ type, code, tag, words: [register, value] }) => ({
  type,
  code,
  tag,
  body: Uint8Array.of(...u32(register), ...(type & 1 ? [] : u32(value))),
}));
/** Most are what the link under attack waits for: see `attack`. */
const completion = mostly(
  fc.constantFrom([0, 4], [1, 4096], [2, 904], [3, 4]).map(([tag, length]) => ({
    code: 0,
    tag: tag!,
    length: length!,
    fill: 0,
  })),
  fc.record({
    code: fc.nat(5),
    tag: fc.nat(6),
    length: fc.constantFrom(0, 4, 16, 904, 4096),
    fill: fc.nat(255),
  }),
).map(({ code, tag, length, fill }) => ({
  type: 0x30,
  code,
  tag,
  body: new Uint8Array(length).fill(fill),
}));
const message = fc.tuple(fc.nat(8), number32, number32).map(([tag, a, b]) => ({
  type: 0x11,
  tag,
  body: Uint8Array.of(...u32(a), ...u32(b)),
}));
const control = fc.oneof(
  fc.tuple(fc.constantFrom(3, 4), number32).map(([type, id]) => ({
    type,
    body: Uint8Array.from(u32(id)),
  })),
  // Credit that grows from what the greeting gave, and other credit.
  fc.tuple(fc.nat(0x1_0000), fc.nat(64), fc.nat(16)).map(([bytes, frames, requests]) => ({
    type: 2,
    body: Uint8Array.of(
      ...u32(8 * 2 ** 20 + bytes),
      ...u32(8192 + frames),
      ...u32(256 + requests),
    ),
  })),
  fc.tuple(fc.nat(9), number32, number32, number32).map(([one, ...counts]) =>
    one > 0
      ? { type: 3, body: Uint8Array.from(u32(one)) }
      : { type: 2, body: Uint8Array.from(counts.flatMap(u32)) }
  ),
);
const goodbye = fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 40 })).map(([code, body]) => ({
  type: 1,
  code,
  body,
}));
const anything = fc.tuple(
  fc.nat(255),
  fc.nat(255),
  fc.nat(0xffff),
  fc.uint8Array({ maxLength: 40 }),
)
  .map(([type, code, tag, body]) => ({ type, code, tag, body }));

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.record({
      fields: fc.oneof(
        { weight: 12, arbitrary: memoryWrite },
        { weight: 12, arbitrary: memoryRead },
        { weight: 12, arbitrary: register },
        { weight: 8, arbitrary: completion },
        { weight: 8, arbitrary: message },
        { weight: 8, arbitrary: control },
        { weight: 1, arbitrary: goodbye },
        { weight: 1, arbitrary: anything },
      ),
      sequence: mostly<number | "next">(fc.constant("next"), number32),
      ack: mostly(
        fc.integer({ min: FIRST - 3, max: FIRST + 1 }),
        fc.oneof(fc.integer({ min: FIRST, max: FIRST + 20 }), number32),
      ),
      length: mostly<number | undefined>(fc.constant(undefined), number32),
    }).map(({ fields, sequence, ack, length }) => ({
      do: "frame" as const,
      sequence,
      frame: { code: 0, tag: 0, ...fields, ack, length },
    })),
  },
  fc.uint8Array({ maxLength: 64 }).map((bytes) => ({ do: "bytes" as const, bytes })),
);

/** What one hostile peer sends after the greetings, and the lengths of the pieces in which it comes. */
export interface Stream {
  readonly operations: readonly Operation[];
  readonly pieces: readonly number[];
}

export const streams: fc.Arbitrary<Stream> = fc.record({
  operations: fc.array(operation, { maxLength: 24 }),
  pieces: fc.array(fc.oneof(fc.nat(40), fc.nat(4000)), { maxLength: 6 }),
});

/** The bytes of `operations`, in order. */
export function encode(operations: readonly Operation[]): Uint8Array {
  const parts: number[] = [];
  let next = FIRST;
  for (const operation of operations) {
    if (operation.do === "bytes") {
      parts.push(...operation.bytes);
      continue;
    }
    const { type, code, tag, ack, length, body } = operation.frame;
    const numbered = type >= 0x10;
    const sequence = operation.sequence === "next" ? (numbered ? next : 0) : operation.sequence;
    if (numbered) next = (next + 1) >>> 0;
    const fields = { code, tag, sequence, ack, ...(length !== undefined && { length }) };
    parts.push(...frame(type, fields, body));
  }
  return Uint8Array.from(parts);
}

/** A greeting with some of its bytes changed, or cut short. */
export const greetings = (right: Uint8Array): fc.Arbitrary<Uint8Array> =>
  fc.record({
    changes: fc.array(
      fc.tuple(fc.nat(GREETING.size - 4), fc.oneof(number32, fc.nat(255))),
      { maxLength: 4 },
    ),
    length: fc.oneof({ weight: 6, arbitrary: fc.constant(GREETING.size) }, fc.nat(GREETING.size)),
  }).map(({ changes, length }) => {
    const bytes = right.slice();
    for (const [at, value] of changes) bytes.set(u32(value), at);
    return bytes.subarray(0, length);
  });

/** Smallest buffers, so that a case is cheap. */
const LIMITS: Partial<LinkLimits> = {
  maxPayload: 4096,
  maxReadRequest: 4096,
  postedBytes: 65_536,
  postedFrames: 64,
  nonPosted: 16,
};
/** protocol/README.md, "Memory", with these limits: a receive buffer, and chunks for 32 KiB and 16 completions. */
const HELD_MAX = 262_144 + 9 * 262_144 + 2 * (32_768 + 16 * 4112);

/** Answers `bytes` for a greeting, from a card to a host or from a host to a card. @throws as {@linkcode attack} */
export async function greet(role: "host" | "card", bytes: Uint8Array): Promise<void> {
  const statuses: LinkStatus[] = [];
  const onStatus = (status: LinkStatus) => void statuses.push(status);
  const accepted: Link[] = [];
  const [near, far] = memoryTransportPair();
  const stop = new AbortController();
  await using server = new LinkServer({
    epoch: 1n,
    identity: new Uint8Array(16),
    limits: LIMITS,
    accept: () => ({ completer: new RecordingCompleter(), onStatus }),
    onLink: (link) => accepted.push(link),
  });
  const ended = role === "host" ? server.serve(near) : dialLink(() => Promise.resolve(near), {
    role: "card",
    completer: new RecordingCompleter(),
    identity: new Uint8Array(16),
    limits: LIMITS,
    onStatus,
  }, stop.signal).closed;
  const drained = drain(far);
  await far.write(bytes).catch(() => {});
  far.close();
  await drained;
  stop.abort();
  await ended;
  assertLawful(statuses);
  for (const link of accepted) {
    assert(link.heldBytes <= HELD_MAX, `it holds ${link.heldBytes} bytes`);
  }
}

/** Plays `stream` against a link of `role`. @throws if the link does what none may do */
export async function attack(role: "host" | "card", stream: Stream): Promise<void> {
  await using victim: Victim = await (role === "host" ? rawCard(LIMITS) : rawHost(LIMITS));
  const { link, peer, statuses } = victim;
  const drained = drain(peer.transport);
  const mine = [
    link.configRead(0, 4),
    link.memoryRead(0, 5000),
    link.ioRead(0, 2),
  ].map((request) => request.catch(() => {}));
  link.postWrite(0, new Uint8Array(100));
  const bytes = encode(stream.operations);
  let at = 0;
  for (const length of [...stream.pieces, bytes.length]) {
    await peer.send(bytes.subarray(at, at + length)).catch(() => {});
    at += length;
  }
  assert(link.heldBytes <= HELD_MAX, `it holds ${link.heldBytes} bytes`);
  assertLawful(statuses);
  peer.transport.close();
  await drained;
  await link.close("shutdown");
  await Promise.all(mine);
}

/** Whatever a peer does, it is the peer's fault. */
function assertLawful(statuses: readonly LinkStatus[]): void {
  for (const status of statuses) {
    if (status.type === "goodbye" && status.direction === "sent") {
      assert(status.reason !== "internal", status.text);
    }
  }
}

async function drain(transport: Transport): Promise<void> {
  const into = new Uint8Array(65_536);
  while (await transport.read(into) !== null);
}
