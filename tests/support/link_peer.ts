/**
 * A peer of the link under test that sends what bytes it likes, and sees every byte that comes back.
 *
 * @module
 */
import {
  dialLink,
  LinkError,
  LinkServer,
  memoryTransportPair,
  type Transport,
  viewOf,
} from "../../protocol/mod.ts";
import type { Link, LinkLimits, LinkStatus } from "../../protocol/mod.ts";
import { encodeGreeting, GREETING, type Greeting } from "../../protocol/link/greeting.ts";
import { DEFAULT_LIMITS } from "../../protocol/link/limits.ts";
import { RecordingCompleter } from "./link_completer.ts";

/** Bytes from hexadecimal text; white space and anything after `;` on a line is for people. */
export function hex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(text.replaceAll(/;.*$/gm, "").replaceAll(/\s/g, ""));
}

/** A frame as it came. */
export interface RawFrame {
  readonly type: number;
  readonly code: number;
  readonly tag: number;
  readonly sequence: number;
  readonly ack: number;
  readonly body: Uint8Array;
}

/** A frame's bytes from numbers, independent of the encoder under test. */
export function frame(
  type: number,
  fields: { code?: number; tag?: number; sequence?: number; ack?: number; length?: number },
  body: Uint8Array = new Uint8Array(),
): Uint8Array {
  const bytes = new Uint8Array(16 + body.length);
  const view = viewOf(bytes);
  view.setUint8(0, type);
  view.setUint8(1, fields.code ?? 0);
  view.setUint16(2, fields.tag ?? 0, true);
  view.setUint32(4, fields.length ?? body.length, true);
  view.setUint32(8, fields.sequence ?? 0, true);
  view.setUint32(12, fields.ack ?? 0xffff_feff, true);
  bytes.set(body, 16);
  return bytes;
}

/** What a card says first, with any field changed. */
export const cardGreeting = (changes: Partial<Greeting> = {}): Greeting => ({
  major: 1,
  minor: 0,
  role: "card",
  features: 0n,
  identity: new Uint8Array(16).fill(0xca),
  session: new Uint8Array(16),
  epoch: 0n,
  received: 0xffff_feff,
  limits: DEFAULT_LIMITS,
  ...changes,
});

/** What a host answers, with any field changed. */
export const hostGreeting = (changes: Partial<Greeting> = {}): Greeting =>
  cardGreeting({
    role: "host",
    session: new Uint8Array(16).fill(0x5e),
    epoch: 0x1122n,
    ...changes,
  });

export class RawPeer {
  readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  async send(...pieces: Uint8Array[]): Promise<void> {
    for (const bytes of pieces) await this.transport.write(bytes);
  }

  /** Exactly `length` bytes. */
  async take(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    for (let have = 0; have < length;) {
      const count = await this.transport.read(bytes.subarray(have));
      if (count === null) throw new Error(`Stream ended after ${have} of ${length} bytes`);
      have += count;
    }
    return bytes;
  }

  greeting(): Promise<Uint8Array> {
    return this.take(GREETING.size);
  }

  /** The next frame, control frames included. */
  async frame(): Promise<RawFrame> {
    const header = viewOf(await this.take(16));
    return {
      type: header.getUint8(0),
      code: header.getUint8(1),
      tag: header.getUint16(2, true),
      sequence: header.getUint32(8, true),
      ack: header.getUint32(12, true),
      body: await this.take(header.getUint32(4, true)),
    };
  }

  /** The next frame of `type`; others are skipped. */
  async next(type: number): Promise<RawFrame> {
    for (;;) {
      const frame = await this.frame();
      if (frame.type === type) return frame;
    }
  }
}

/** A link whose far end is a {@linkcode RawPeer}, greeted. */
export interface Victim extends AsyncDisposable {
  readonly peer: RawPeer;
  readonly link: Link;
  readonly completer: RecordingCompleter;
  readonly statuses: LinkStatus[];
}

/** A card's link whose host is a {@linkcode RawPeer}. */
export async function rawHost(
  limits: Partial<LinkLimits> = {},
  greeting: Partial<Greeting> = {},
): Promise<Victim> {
  const completer = new RecordingCompleter();
  const statuses: LinkStatus[] = [];
  const [near, far] = memoryTransportPair();
  const stop = new AbortController();
  const up = Promise.withResolvers<void>();
  let dialled = false;
  const dial = () => {
    if (dialled) return Promise.reject(new LinkError("Cannot dial: once is enough"));
    dialled = true;
    return Promise.resolve(near);
  };
  const link = dialLink(dial, {
    role: "card",
    completer,
    identity: new Uint8Array(16).fill(0xca),
    limits,
    onStatus: (status) => {
      // It dials in vain once its connection is gone, which is no news.
      if (status.type !== "connecting" && status.type !== "retrying") statuses.push(status);
      if (status.type === "up") up.resolve();
    },
  }, stop.signal);
  const peer = new RawPeer(far);
  await peer.greeting();
  await peer.send(encodeGreeting(hostGreeting(greeting)));
  await up.promise;
  return {
    peer,
    link,
    completer,
    statuses,
    async [Symbol.asyncDispose]() {
      far.close();
      stop.abort();
      await link.closed;
    },
  };
}

/** A host's link whose card is a {@linkcode RawPeer}. */
export interface RawCard extends Victim {
  readonly server: LinkServer;
  readonly refused: string[];
  /** The host's answer to the greeting. */
  readonly answer: Uint8Array;
}

export async function rawCard(
  limits: Partial<LinkLimits> = {},
  greeting: Greeting = cardGreeting(),
  over: (host: Transport) => Transport = (host) => host,
): Promise<RawCard> {
  const [near, far] = memoryTransportPair();
  const completer = new RecordingCompleter();
  const statuses: LinkStatus[] = [];
  const refused: string[] = [];
  const made = Promise.withResolvers<Link>();
  const server = new LinkServer({
    epoch: 0x1122n,
    identity: new Uint8Array(16).fill(0x40),
    limits,
    accept: () => ({ completer, onStatus: (event) => statuses.push(event) }),
    onLink: made.resolve,
    onRefused: (_peer, reason, text) => refused.push(`${reason}: ${text}`),
  });
  void server.serve(over(near));
  const peer = new RawPeer(far);
  await peer.send(encodeGreeting(greeting));
  const answer = await peer.greeting();
  const dispose = async () => {
    far.close();
    await server[Symbol.asyncDispose]();
  };
  return {
    peer,
    link: await made.promise,
    completer,
    server,
    statuses,
    refused,
    answer,
    [Symbol.asyncDispose]: dispose,
  };
}
