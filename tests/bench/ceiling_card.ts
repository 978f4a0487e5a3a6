/**
 * The card's end of the bare link: keeps requests in flight that are nothing but their frames here, and times them.
 *
 * Its argument is the host's port. Asked for a {@linkcode CardQuestion}, it answers with a {@linkcode CeilingResult}.
 *
 * @module
 */
import { Histogram, type Latencies } from "../../card/machine/diag/os/bench.ts";
import { type Completer, dialLink, dialTcp, le16, viewOf } from "../../protocol/mod.ts";
import { RequestFrames } from "./ceiling_frames.ts";
import { CARD_INDEX, CARD_MEMORY, type Load, REGISTERS } from "./ceiling_layout.ts";
import { converse } from "./conversation.ts";

export interface CardQuestion extends Load {
  readonly seconds: number;
}

export interface CeilingResult {
  readonly iops: number;
  readonly mb_s: number;
  readonly latency_us: Latencies;
}

const memory = new Uint8Array(CARD_MEMORY);
const view = viewOf(memory);
let rung = false;
let completed: () => void = () => {};

const completer: Completer = {
  memoryWrite(address, bytes) {
    if (address >= REGISTERS) rung = true;
    else memory.set(bytes, address);
  },
  memoryRead: (address, into) => into.set(memory.subarray(address, address + into.length)),
  configRead: () => 0,
  configWrite() {},
  ioRead: () => 0,
  ioWrite() {},
  message() {},
  batchEnd() {
    if (!rung) return;
    rung = false;
    completed();
  },
};

const link = dialLink(
  (signal) => dialTcp("127.0.0.1", Number(Deno.args[0]), signal),
  { role: "card", identity: crypto.getRandomValues(new Uint8Array(16)), completer },
  new AbortController().signal,
);
const frames = new RequestFrames(link);
/** Used index that was seen last. */
let used = 0;

function run({ seconds, ...load }: CardQuestion): Promise<CeilingResult> {
  const { promise, resolve } = Promise.withResolvers<CeilingResult>();
  const { bytes, depth } = load;
  const histogram = new Histogram();
  const started = new Float64Array(depth);
  const begin = performance.now();
  const deadline = begin + seconds * 1000;
  let issued = 0;
  let done = 0;
  let waits = false;
  const issue = (now: number): void => {
    if (waits || now >= deadline) return;
    const idle = issued === done;
    const sent = frames.send(depth - (issued - done));
    for (let i = 0; i < sent; i++) started[issued++ % depth] = now;
    if (idle) link.flush();
    if (issued - done === depth) return;
    waits = true;
    link.onWritable(() => {
      waits = false;
      const now = performance.now();
      issue(now);
      finish(now);
    });
  };
  /** To be called with the time that `issue` was given: whoever starts nothing more for it must end here. */
  const finish = (now: number): void => {
    if (now < deadline || done < issued) return;
    const elapsed = (performance.now() - begin) / 1000;
    resolve({
      iops: done / elapsed,
      mb_s: done * bytes / elapsed / 1e6,
      latency_us: histogram.summary(),
    });
  };
  completed = () => {
    const now = performance.now();
    const index = le16.get(view, CARD_INDEX);
    for (; used !== index; used = (used + 1) & 0xffff) {
      histogram.add(now - started[done++ % depth]!);
    }
    issue(now);
    finish(now);
  };
  frames.use(load);
  issue(begin);
  return promise;
}

await converse(run);
