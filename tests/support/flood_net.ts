/**
 * A network on which frames come faster than any card takes them, and which may stop taking any; only for tests.
 *
 * Like a network card: what comes while there is no room is lost, and counted; what is sent while the line is blocked
 * waits with the sender.
 *
 * @module
 */
import type { NetBackend, NetEvents } from "../../host/backends/types.ts";
import {
  arpReply,
  echoReplySequence,
  echoRequest,
  NET_HEADER,
  type Station,
} from "./memory_net.ts";

/** Frames that arrive at once. */
const BURST = 256;
const LENGTH = 1514;
/** A card that has not answered by then never will, ms. */
const PATIENCE = 20_000;

export class FloodNet implements NetBackend {
  readonly name = "flood";
  readonly mac = Uint8Array.of(0x02, 0, 0, 0, 0, 0x01);
  readonly mtu = 1500;
  readonly offloads = { checksum: false, segmentation: false };
  /** Frames of the flood: taken by the card, and lost. */
  taken = 0;
  lost = 0;
  /** Frames from the card. */
  sent = 0;
  /** Nothing is sent. */
  blocked = false;
  readonly #peer: Station = { mac: [0x02, 0, 0, 0, 0, 0xfe], address: [172, 31, 1, 254] };
  readonly #card: Station = { mac: [...this.mac], address: [172, 31, 1, 1] };
  readonly #flood: Uint8Array;
  #events: NetEvents | undefined;
  /** A frame that must arrive, and one that the card had no room for. */
  #due: Uint8Array[] = [];
  #kept: Uint8Array | undefined;
  #answers = new Map<number, () => void>();
  #sequence = 0;

  constructor() {
    this.#flood = new Uint8Array(NET_HEADER + LENGTH);
    this.#flood.set([...this.mac, ...this.#peer.mac, 0x88, 0xb5], NET_HEADER);
  }

  /** Floods for `ms`. */
  async flood(ms: number): Promise<void> {
    const end = performance.now() + ms;
    while (performance.now() < end) {
      for (let i = 0; i < BURST; i++) {
        if (this.#kept === undefined && this.#receive(this.#flood)) this.taken++;
        else this.lost++;
      }
      this.#events?.received();
      await new Promise((resolve) => setTimeout(resolve));
    }
  }

  /** Pings the card; ms until it answers. */
  async ping(): Promise<number> {
    const sequence = ++this.#sequence;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const late = setTimeout(() => reject(new Error("the card does not answer")), PATIENCE);
    this.#answers.set(sequence, resolve);
    const begun = performance.now();
    this.#due.push(echoRequest(this.#peer, this.#card, sequence));
    this.#deliver();
    await promise;
    clearTimeout(late);
    return performance.now() - begun;
  }

  /** Lets what the card sends go again. */
  unblock(): void {
    this.blocked = false;
    this.#events?.writable();
  }

  send(frame: Uint8Array): boolean {
    if (this.blocked) return false;
    this.sent++;
    const reply = arpReply(frame, this.#peer);
    if (reply !== undefined) {
      this.#due.push(reply);
      queueMicrotask(() => this.#deliver());
    }
    const sequence = echoReplySequence(frame);
    if (sequence !== undefined) this.#answers.get(sequence)?.();
    return true;
  }

  open(events: NetEvents): void {
    this.#events = events;
    events.link(true);
  }

  resume(): void {
    queueMicrotask(() => {
      const kept = this.#kept;
      this.#kept = undefined;
      if (kept !== undefined) this.#receive(kept);
      this.#deliver();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#events = undefined;
    return Promise.resolve();
  }

  /** One frame is kept while the card has no room, as a backend must. */
  #receive(frame: Uint8Array): boolean {
    if (this.#events?.receive(frame) !== false) return true;
    this.#kept = frame;
    return false;
  }

  #deliver(): void {
    while (this.#kept === undefined && this.#due.length > 0) this.#receive(this.#due.shift()!);
    this.#events?.received();
  }
}
