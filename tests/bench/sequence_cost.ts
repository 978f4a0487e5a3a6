/**
 * What a request and its answer cost on the link, by the sequence numbers of their frames: both ends of a session in
 * this process, set to a number as if they had been at it for so long.
 *
 * Asked for so many seconds, it answers with a {@linkcode SequenceCost} for each number.
 *
 * @module
 */
import process from "node:process";
import { Connection } from "../../protocol/link/connection.ts";
import { DEFAULT_LIMITS } from "../../protocol/link/limits.ts";
import { memoryTransportPair } from "../../protocol/link/memory_transport.ts";
import { Session } from "../../protocol/link/session.ts";
import type { Completer, Transport } from "../../protocol/link/types.ts";
import { MESSAGE } from "../../protocol/link/types.ts";
import { converse } from "./conversation.ts";

export interface SequenceCost {
  readonly name: string;
  /** CPU time of one request and its answer, microseconds. */
  readonly us: number;
}

/** Where a session has got to. A day of 100 000 requests a second goes round six times. */
const STARTS: Readonly<Record<string, number>> = {
  "from 0": 0,
  "from 2^30": 2 ** 30,
  "across 2^31": 2 ** 31 - 1000,
  "across the wrap": 2 ** 32 - 1000,
};
const BLOCK = 4096;
const DEPTH = 32;

const memory = new Uint8Array(BLOCK);
const nobody = { lost() {}, goodbyeReceived() {}, fail: (error: unknown) => console.error(error) };

/** One end, whose frames and whose peer's frames go on from `sequence`. */
class End {
  readonly session: Session;
  #connection: Connection | undefined;

  constructor(sequence: number, onMessage: (end: End) => void) {
    const completer: Completer = {
      memoryWrite: (_address, bytes) => memory.set(bytes),
      memoryRead() {},
      configRead: () => 0,
      configWrite() {},
      ioRead: () => 0,
      ioWrite() {},
      message: () => onMessage(this),
      batchEnd() {},
    };
    const encoded = () => this.#connection?.poke();
    this.session = new Session(completer, DEFAULT_LIMITS, encoded, nobody.fail);
    const { incoming, outgoing } = this.session;
    incoming.sequence = outgoing.sequence = sequence;
    outgoing.sentSequence = outgoing.ackedSequence = sequence;
    this.session.adopt(DEFAULT_LIMITS, DEFAULT_LIMITS);
  }

  connect(transport: Transport): { readonly ended: Promise<void> } {
    this.#connection = new Connection(transport, this.session, nobody, DEFAULT_LIMITS);
    return { ended: this.#connection.run() };
  }

  stop(): void {
    this.#connection!.stop();
  }
}

async function costFrom(sequence: number, seconds: number): Promise<number> {
  const spans = [{ address: 0, length: BLOCK }];
  const { promise: over, resolve } = Promise.withResolvers<void>();
  let answered = 0;
  const before = process.cpuUsage();
  const deadline = performance.now() + seconds * 1000;
  const host = new End(sequence, ({ session: { sender } }) => {
    sender.openWrite(spans);
    sender.message(MESSAGE.msi, 0, 0);
  });
  const card = new End(sequence, ({ session: { sender } }) => {
    answered++;
    if (performance.now() < deadline) sender.message(MESSAGE.msi, 0, 0);
    else resolve();
  });
  const [one, other] = memoryTransportPair();
  const ends = [host.connect(one), card.connect(other)];
  for (let i = 0; i < DEPTH; i++) card.session.sender.message(MESSAGE.msi, 0, 0);
  await over;
  const { user, system } = process.cpuUsage(before);
  for (const end of [host, card]) end.stop();
  await Promise.all(ends.map(({ ended }) => ended));
  return (user + system) / answered;
}

await converse<{ readonly seconds: number }>(async ({ seconds }) => {
  const costs: SequenceCost[] = [];
  for (const [name, start] of Object.entries(STARTS)) {
    costs.push({ name, us: await costFrom(start, seconds) });
  }
  return costs;
});
