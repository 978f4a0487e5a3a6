/**
 * A scripted session of every kind of frame, both ways, and what is left of it: the two ends' memories, what was
 * answered, what was heard and in which order, and what was counted.
 *
 * All that is compared is the same in every run, wherever it is cut. What is not said in the script has no fixed place in
 * it: an error message answers what the peer sent, and non-posted requests that wait for credit are passed by posted ones.
 *
 * @module
 */
import { type Link, MESSAGE } from "../../protocol/mod.ts";
import type { RecordingCompleter } from "./link_completer.ts";

/** Bytes of memory at each end: all that the script touches. */
export const SCRIPT_MEMORY = 0x3000;
/** Where each side's script writes and reads, in the other's memory. */
export const BASE = { card: 0x1000, host: 0x2000 } as const;
/** Addresses that nobody has. */
const NOWHERE = 2 ** 41;
/** Arguments of the last message of a side: nothing follows it. */
const LAST = 0xffff_ffff;

export interface Part {
  /** Times that all of it is done. */
  readonly rounds: number;
  /** Waited for after the first round. */
  readonly interval?: () => Promise<void>;
}

/** One side's part: all of it is answered when this resolves, to the answers. @throws {Error} if the session ends before */
export async function playSide(
  link: Link,
  base: number,
  { rounds, interval }: Part,
): Promise<string[]> {
  const answers: string[] = [];
  const note = async (name: string, answer: Promise<unknown>) => {
    const value = await answer.catch((error: Error) => error.name);
    if (value === "LinkError") throw new Error(`Cannot play ${name}: the session is over`);
    answers.push(`${name}: ${value instanceof Uint8Array ? value.toHex() : value}`);
  };
  for (let round = 1; round <= rounds; round++) {
    // More posted frames than there is credit for, each over a part of the one before.
    for (let n = 0; n < 6; n++) {
      link.postWrite(base + 8 * n, new Uint8Array(16 + n).fill(0x10 * round + n));
    }
    link.openWrite([
      { address: base + 0x80, length: 3 },
      { address: base + 0x90, length: 0 },
      { address: base + 0x82, length: 9 },
      { address: base + 0xa0 + round, length: 2 },
    ]).set(Uint8Array.from({ length: 14 }, (_, i) => 16 * i + round));
    link.message(MESSAGE.msi, round);
    link.message(MESSAGE.power, 0x19, round);
    link.message(MESSAGE.post_code, 0x3030 + round, 0);
    link.message(MESSAGE.device_config_write, 0x0001_0101, round);
    await note(`${round} read`, link.memoryRead(base, 64));
    const all = [
      note(`${round} config read`, link.configRead(0x10, 4)),
      note(`${round} config write`, link.configWrite(4, 2, round)),
      note(`${round} io read`, link.ioRead(8, 1)),
      note(`${round} io write`, link.ioWrite(0xc, 4, 0x1234_5600 + round)),
      note(`${round} nowhere`, link.memoryRead(NOWHERE, 4)),
      note(`${round} read again`, link.memoryRead(base + 0x80, 48)),
    ];
    link.postWrite(NOWHERE, new Uint8Array(4));
    await Promise.all(all);
    if (round === 1) await interval?.();
  }
  return answers.toSorted();
}

/** To be called once both sides have played: resolves when each has heard the other's last word. */
export async function lastWords(
  ends: readonly { readonly link: Link; readonly completer: RecordingCompleter }[],
): Promise<void> {
  for (const { link } of ends) link.message(MESSAGE.post_code, LAST, LAST);
  await Promise.all(ends.map(({ completer }) => completer.hears(`message 4 ${LAST} ${LAST}`)));
}

/** What is left at one end. */
export interface EndState {
  readonly memory: string;
  readonly posted: readonly string[];
  readonly errors: readonly string[];
  readonly nonPosted: readonly string[];
  readonly counters: {
    readonly sent: number;
    readonly received: number;
    readonly unsupported: number;
  };
}

export function endState(link: Link, { calls, memory }: RecordingCompleter): EndState {
  const isError = (call: string) => call.startsWith(`message ${MESSAGE.error} `);
  const isPosted = (call: string) => /^(write|message) /.test(call);
  return {
    memory: memory.toHex(),
    posted: calls.filter((call) => isPosted(call) && !isError(call)),
    errors: calls.filter(isError),
    nonPosted: calls.filter((call) => !isPosted(call)),
    counters: {
      sent: link.counters.framesSent,
      received: link.counters.framesReceived,
      unsupported: link.counters.unsupported,
    },
  };
}
