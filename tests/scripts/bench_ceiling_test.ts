// The bare link that the bridge is measured beside has to send what the bridge sends: frame by frame, both ways.
import { assertEquals } from "@std/assert";
import { runCard } from "../../card/card.ts";
import { DiagMachine } from "../../card/machine/diag/machine.ts";
import { bench as load } from "../../card/machine/diag/os/bench.ts";
import { BlockDevice, diagImages, Host, MemoryBackend } from "../../mod.ts";
import { HEADER, isControl, SPAN, TYPE } from "../../protocol/link/frame.ts";
import { le16, le32, type Span, type Transport, u8, viewOf } from "../../protocol/mod.ts";
import { AnswerFrames, RequestFrames } from "../bench/ceiling_frames.ts";
import type { Load } from "../bench/ceiling_layout.ts";
import { MemoryListener } from "../support/memory_listener.ts";
import { RecordingRequester } from "../support/recording_requester.ts";

const MIB = 2 ** 20;

/** `write` and the lengths of its spans, or `message` and its code. */
type Frame = readonly ["write" | "message", ...number[]];

/** Transactions in a run of whole frames. */
function framesIn(bytes: Uint8Array): Frame[] {
  const view = viewOf(bytes);
  const frames: Frame[] = [];
  for (let at = 0; at < bytes.length;) {
    const type = u8.get(view, at + HEADER.at.type);
    const tag = le16.get(view, at + HEADER.at.tag);
    const body = at + HEADER.size;
    if (type === TYPE.message) frames.push(["message", tag]);
    else if (type === TYPE.memory_write) {
      const length = (row: number) => le32.get(view, body + row * SPAN.size + SPAN.at.length);
      frames.push(["write", ...Array.from({ length: tag }, (_, row) => length(row))]);
    } else if (!isControl(type)) throw new TypeError(`A frame of type ${type}`);
    at = body + le32.get(view, at + HEADER.at.length);
  }
  return frames;
}

/** Card, host and disk in this process, and what goes between them. */
class Wire implements AsyncDisposable {
  readonly #card: Promise<void>;
  readonly #host: Host;
  readonly #disk = new BlockDevice({ backend: new MemoryBackend(new Uint8Array(4 * MIB)) });
  readonly #stop = new AbortController();
  #machine: DiagMachine | undefined;
  #sent: Uint8Array[] = [];
  #received: Uint8Array[] = [];

  constructor() {
    const listener = new MemoryListener();
    this.#host = new Host({
      listener,
      cards: [{
        name: "mic0",
        devices: [this.#disk],
        images: diagImages({ cmdline: "", name: "mic0", address: undefined }),
      }],
    });
    this.#card = runCard({
      dial: async () => this.#record(await listener.dial()),
      machine: ({ memoryBytes }) =>
        Promise.resolve(this.#machine = new DiagMachine({ memoryBytes })),
      memoryBytes: 64 * MIB,
      identity: new Uint8Array(16).fill(1),
      signal: this.#stop.signal,
    });
  }

  /** What `count` requests of `options` send: from the card, and from the host. */
  async frames(
    { write, bytes, depth }: Load,
    count: number,
  ): Promise<{ readonly requests: Frame[]; readonly answers: Frame[] }> {
    await this.#host.cards.get("mic0")!.waitFor(["online"]);
    const { os } = this.#machine!;
    // What booting has sent has come.
    await os.disk.read(0, 1);
    this.#sent = [];
    this.#received = [];
    await load(os.disk, os.heap, {
      ...{ rw: write ? "randwrite" : "randread", bs: bytes, depth },
      ...{ seconds: Infinity, count, places: Infinity },
    }, os.signal);
    return { requests: this.#sent.flatMap(framesIn), answers: framesIn(joined(this.#received)) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#card;
    await this.#host[Symbol.asyncDispose]();
    await this.#disk[Symbol.asyncDispose]();
  }

  #record(inner: Transport): Transport {
    const read = async (into: Uint8Array): Promise<number | null> => {
      const count = await inner.read(into);
      if (count !== null) this.#received.push(into.slice(0, count));
      return count;
    };
    const write = (bytes: Uint8Array): Promise<void> => {
      this.#sent.push(bytes.slice());
      return inner.write(bytes);
    };
    return {
      ...{ peer: inner.peer, read, write },
      close: () => inner.close(),
      [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
    };
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Sends nothing and remembers the frames. */
class Frames extends RecordingRequester {
  readonly frames: Frame[] = [];
  override openWrite(spans: readonly Span[]): Uint8Array {
    this.frames.push(["write", ...spans.map(({ length }) => length)]);
    return super.openWrite(spans);
  }
  override message(code: 1): void {
    this.frames.push(["message", code]);
  }
}

const RANDOM = { random: true, places: 4 } as const;
const LOADS: readonly (Load & { readonly count: number })[] = [
  ...[false, true].flatMap((write) => [
    { ...RANDOM, write, bytes: 4096, depth: 1, count: 3 },
    { ...RANDOM, write, bytes: 4096, depth: 8, count: 8 },
    { ...RANDOM, write, bytes: 128 * 1024, depth: 1, count: 2 },
    { ...RANDOM, write, bytes: MIB, depth: 1, count: 2 },
  ]),
];

for (const { count, ...each } of LOADS) {
  const { write, bytes, depth } = each;
  const way = write ? "writes" : "reads";
  Deno.test(`the bare link sends what ${count} ${way} of ${bytes} bytes at depth ${depth} send`, async () => {
    await using wire = new Wire();
    const bridge = await wire.frames(each, count);
    const requests = new Frames();
    const answers = new Frames();
    const card = new RequestFrames(requests);
    const host = new AnswerFrames(answers);
    card.use(each);
    host.use(each);
    for (let done = 0; done < count; done += depth) {
      assertEquals(card.send(depth), depth);
      for (let i = 0; i < depth; i++) host.answer();
      host.publish();
    }
    assertEquals(bridge.requests, requests.frames);
    assertEquals(bridge.answers, answers.frames);
  });
}
