/**
 * A network in memory: a peer that answers ARP and ICMP echo for its address, and the frames to talk to it with.
 *
 * @module
 */
import { echoReply } from "../../host/backends/_echo.ts";
import type { NetBackend, NetEvents, NetOffloads } from "../../host/backends/types.ts";

/** Bytes of the virtio-net header before every frame. */
export const NET_HEADER = 12;
const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/** An end of an Ethernet segment. */
export interface Station {
  readonly mac: readonly number[];
  readonly address: readonly number[];
}

/** "Who has `target`?" from `from`. */
export function arpRequest(from: Station, target: readonly number[]): Uint8Array {
  return arp(BROADCAST, from, 1, [0, 0, 0, 0, 0, 0], target);
}

/** The answer of `station` if `frame` asks for its address. */
export function arpReply(frame: Uint8Array, station: Station): Uint8Array | undefined {
  const asks = [0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, 0x01];
  if (frame.length < NET_HEADER + 42 || asks.some((byte, i) => frame[24 + i] !== byte)) return;
  if (station.address.some((byte, i) => frame[50 + i] !== byte)) return;
  const asker = [...frame.subarray(34, 40)];
  return arp(asker, station, 2, asker, [...frame.subarray(40, 44)]);
}

function arp(
  to: readonly number[],
  from: Station,
  operation: number,
  targetMac: readonly number[],
  target: readonly number[],
): Uint8Array {
  const frame = new Uint8Array(NET_HEADER + 60);
  const packet = [0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, operation];
  frame.set([...to, ...from.mac, ...packet, ...from.mac, ...from.address], NET_HEADER);
  frame.set([...targetMac, ...target], NET_HEADER + 32);
  return frame;
}

/** ICMP echo request with `payload`, all checksums in place. */
export function echoRequest(
  from: Station,
  to: Station,
  sequence: number,
  payload: Uint8Array = new Uint8Array(56),
): Uint8Array {
  const frame = new Uint8Array(NET_HEADER + 42 + payload.length);
  const length = 28 + payload.length;
  const ip = NET_HEADER + 14;
  frame.set([...to.mac, ...from.mac, 0x08, 0x00], NET_HEADER);
  frame.set([0x45, 0, length >> 8, length & 255, 0, 0, 0x40, 0, 64, 1, 0, 0], ip);
  frame.set([...from.address, ...to.address], ip + 12);
  setSum(frame, ip, ip + 20, ip + 10);
  frame.set([8, 0, 0, 0, 0x6b, 0x62, sequence >> 8, sequence & 255], ip + 20);
  frame.set(payload, ip + 28);
  setSum(frame, ip + 20, frame.length, ip + 22);
  return frame;
}

/** The first segment of a TCP connection to `port`, all checksums in place. */
export function synFrame(from: Station, to: Station, port: number): Uint8Array {
  const frame = new Uint8Array(NET_HEADER + 14 + 40);
  const ip = NET_HEADER + 14;
  const tcp = ip + 20;
  frame.set([...to.mac, ...from.mac, 0x08, 0x00], NET_HEADER);
  frame.set([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, ...from.address, ...to.address], ip);
  setSum(frame, ip, tcp, ip + 10);
  frame.set([0xc0, 0x01, port >> 8, port & 255, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff], tcp);
  // The pseudo header is the addresses, the protocol and the length: seed the sum with the last two.
  setSum(frame, ip + 12, frame.length, tcp + 16, 6 + 20);
  return frame;
}

/** Sequence number if `frame` is an ICMP echo reply with a right checksum. */
export function echoReplySequence(frame: Uint8Array): number | undefined {
  const ip = NET_HEADER + 14;
  if (frame[24] !== 0x08 || frame[25] !== 0 || frame[ip + 9] !== 1) return undefined;
  const icmp = ip + (frame[ip]! & 15) * 4;
  const end = ip + (frame[ip + 2]! << 8 | frame[ip + 3]!);
  if (frame[icmp] !== 0 || internetSum(frame, icmp, end) !== 0xffff) return undefined;
  return frame[icmp + 6]! << 8 | frame[icmp + 7]!;
}

/** Ones' complement sum of big-endian words (RFC 1071): 0xffff over data whose checksum is right. */
export function internetSum(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  let sum = seed;
  for (let at = start; at < end; at += 2) {
    sum += bytes[at]! << 8 | (at + 1 < end ? bytes[at + 1]! : 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

function setSum(bytes: Uint8Array, start: number, end: number, at: number, seed = 0): void {
  const sum = internetSum(bytes, start, end, seed) ^ 0xffff;
  bytes[at] = sum >> 8;
  bytes[at + 1] = sum & 255;
}

/**
 * A backend with one peer behind it that answers ARP and echo requests; every other frame is only remembered. Answers
 * come on a later turn, in order; those that the card has no room for wait for `resume()`.
 */
export class MemoryNet implements NetBackend {
  readonly name = "memory";
  readonly mac = Uint8Array.of(0x02, 0, 0, 0, 0, 0x01);
  readonly mtu: number;
  readonly offloads: NetOffloads = { checksum: false, segmentation: false };
  /** The peer. */
  readonly peer: Station = { mac: [0x02, 0, 0, 0, 0, 0xfe], address: [172, 31, 1, 254] };
  /** Copies of all frames that were sent and taken. */
  readonly sent: Uint8Array[] = [];
  /** How many frames `send` still takes before it says that it is full; `unblock` lifts it. */
  room = Infinity;
  readonly #waiting: Uint8Array[] = [];
  #events: NetEvents | undefined;
  #scheduled = false;

  constructor(mtu = 1500) {
    this.mtu = mtu;
  }

  send(frame: Uint8Array): boolean {
    if (this.room <= 0) return false;
    this.room--;
    this.sent.push(frame.slice());
    const answer = arpReply(frame, this.peer) ?? echoReply(frame, this.peer.address);
    if (answer !== undefined) this.deliver(answer);
    return true;
  }

  /** Gives a frame (with its header) to the card. */
  deliver(frame: Uint8Array): void {
    this.#waiting.push(frame);
    this.resume();
  }

  /** Room again after `send` returned false. */
  unblock(room = Infinity): void {
    this.room = room;
    this.#events?.writable();
  }

  open(events: NetEvents): void {
    this.#events = events;
    events.link(true);
    this.resume();
  }

  resume(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      let taken = 0;
      while (this.#waiting.length > 0 && this.#events?.receive(this.#waiting[0]!)) {
        this.#waiting.shift();
        taken++;
      }
      if (taken > 0) this.#events?.received();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#events = undefined;
    this.#waiting.length = 0;
    return Promise.resolve();
  }
}
