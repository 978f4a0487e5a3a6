// The card of the network benchmarks: what goes in at one end of its cable comes out at the other as it was.
import { assertEquals } from "@std/assert";
import { runCard } from "../../card/card.ts";
import type { NetOffloads } from "../../host/backends/types.ts";
import { NetDevice } from "../../host/devices/net.ts";
import { dialTcp, le16, viewOf, virtioNet } from "../../protocol/mod.ts";
import { startHost } from "../bench/diag_card.ts";
import { NetEnd } from "../bench/net_end.ts";
import { FrameMachine } from "../support/frame_machine.ts";

const { GSO, HEADER, HEADER_FLAG } = virtioNet;

class OffloadingEnd extends NetEnd {
  override readonly offloads: NetOffloads = { checksum: true, segmentation: true };
  #wanted = Promise.withResolvers<Uint8Array>();

  constructor() {
    super();
    this.onFrame = (frame) => this.#wanted.resolve(frame.slice());
  }

  /** The next frame to come. */
  async next(): Promise<Uint8Array> {
    const frame = await this.#wanted.promise;
    this.#wanted = Promise.withResolvers();
    return frame;
  }
}

/** A host's end and a card's end of one cable, with all between them. */
async function cable(offload: boolean, owned: AsyncDisposableStack) {
  const near = new OffloadingEnd();
  const far = new OffloadingEnd();
  const port = startHost([owned.use(new NetDevice(near))], "", owned);
  const stop = new AbortController();
  const up = Promise.withResolvers<void>();
  const card = runCard({
    dial: (signal) => dialTcp("127.0.0.1", port, signal),
    machine: ({ memoryBytes }) =>
      Promise.resolve(new FrameMachine({ memoryBytes, net: far, offload, ready: up.resolve })),
    memoryBytes: 64 * 0x10_0000,
    identity: new Uint8Array(16).fill(1),
    signal: stop.signal,
  });
  owned.defer(async () => {
    stop.abort();
    await card;
  });
  await up.promise;
  return { near, far };
}

function frame(length: number, header: Partial<ReturnType<typeof HEADER.read>> = {}): Uint8Array {
  const bytes = Uint8Array.from({ length: HEADER.size + length }, (_, i) => i * 7);
  // Of TCP's header: its length, for who looks it up.
  bytes[HEADER.size + 34 + 12] = 0x50;
  const none = { flags: 0, gso_type: 0, hdr_len: 0, gso_size: 0, csum_start: 0, csum_offset: 0 };
  HEADER.write(viewOf(bytes), { ...none, num_buffers: 0, ...header });
  return bytes;
}

/** By length and first difference: what assertEquals would show of so many bytes helps nobody. */
function assertSame(actual: Uint8Array, wanted: Uint8Array): void {
  assertEquals(actual.length, wanted.length);
  assertEquals(wanted.findIndex((byte, at) => actual[at] !== byte), -1, "the first that differs");
}

/** `bytes` as a driver gets them: each frame is in one buffer. */
function inOneBuffer(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  le16.set(viewOf(copy), HEADER.at.num_buffers, 1);
  return copy;
}

Deno.test("FrameMachine hands frames on both ways", async () => {
  await using owned = new AsyncDisposableStack();
  const { near, far } = await cable(false, owned);
  for (const length of [60, 1514]) {
    const sent = frame(length);
    far.give(sent);
    assertSame(await near.next(), sent);
    near.give(sent.slice());
    assertSame(await far.next(), inOneBuffer(sent));
  }
});

Deno.test("FrameMachine hands on a segment of 64 KiB with what is left to do of it", async () => {
  await using owned = new AsyncDisposableStack();
  const { near, far } = await cable(true, owned);
  const sent = frame(65_000, {
    ...{ flags: HEADER_FLAG.NEEDS_CSUM, gso_type: GSO.TCPV4, hdr_len: 54, gso_size: 1448 },
    ...{ csum_start: 34, csum_offset: 16 },
  });
  far.give(sent);
  assertSame(await near.next(), sent);
  near.give(sent.slice());
  assertSame(await far.next(), inOneBuffer(sent));
});
