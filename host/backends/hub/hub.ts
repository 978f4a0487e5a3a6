/**
 * An Ethernet switch within the host: cards that are attached to one reach each other, and through its uplink, a TAP
 * interface, the host and whatever that is bridged to. Needs no privileges.
 *
 * No offloads are offered: what one card's driver left undone another's might not be able to do. So every frame is
 * whole, its virtio-net header is zero, and its length is bounded by the MTU.
 *
 * - **Invariant:** nobody waits for another. A frame for an end that is full is dropped and counted, as by any switch;
 *   the sender's queue moves on. Frames between two ends keep their order.
 * - A hub has one uplink at most and is never joined to another, so there is no loop within it.
 *
 * Spec: IEEE 802.1D §7.7 (forwarding), §7.8 (learning), without spanning tree.
 *
 * @module
 */
import type { NetBackend, NetEvents } from "../types.ts";
import { checkedMac } from "../_mac.ts";
import { addressAt, AddressTable } from "./address_table.ts";
import { FrameRing } from "./frame_ring.ts";

/** Bytes: virtio-net header, Ethernet header, VLAN tag. */
const HEADER = 12;
const ETHERNET = 14;
const VLAN_TAG = 4;
/** In a frame with its virtio-net header. */
const AT = { flags: 0, gso: 1, target: HEADER, source: HEADER + 6 } as const;
const NEEDS_CSUM = 1;
const MTU = 1500;

/** What one end did, in frames. */
export interface HubCounters {
  /** Taken from it, and given to it. */
  received: number;
  sent: number;
  /** For it, and it had no room. */
  dropped: number;
  /** From it, and not passed on, as the source address is another end's. */
  foreign: number;
  /** From it, and not passed on: too long, too short, from a group, or not whole. */
  malformed: number;
}

/** What one end did, and whose it is. */
export interface HubEnd {
  /** Of the card, or of the uplink: `mic0`, `tap:kblab`. */
  readonly name: string;
  readonly counters: Readonly<HubCounters>;
}

/** One end: a card's port or the uplink. */
interface End extends HubEnd {
  readonly ring: FrameRing;
  readonly counters: HubCounters;
  /** False: no room now; `flush` is called when there is. */
  deliver(frame: Uint8Array): boolean;
  /** After the last `deliver` of a batch. */
  delivered(): void;
  /** Is to be flushed. */
  dirty: boolean;
}

export class Hub implements AsyncDisposable {
  readonly name: string;
  readonly mtu: number;
  readonly #ends = new Set<End>();
  readonly #addresses = new AddressTable<End>();
  readonly #uplink: NetBackend | undefined;
  readonly #uplinkEnd: End | undefined;
  #scheduled = false;

  /** `uplink` is the hub's from now on. */
  constructor(name: string, uplink?: NetBackend) {
    this.name = name;
    this.mtu = uplink?.mtu ?? MTU;
    if (uplink === undefined) return;
    this.#uplink = uplink;
    const end = this.#uplinkEnd = this.#add(uplink.name, (frame) => uplink.send(frame), () => {});
    uplink.open({
      receive: (frame) => this.#forward(end, frame),
      received: () => {},
      writable: () => this.#soon(end),
      link: () => {},
    });
    uplink.accepted?.({ checksum: false, segmentation: false });
  }

  /** Of the uplink; undefined without one. */
  get uplinkCounters(): Readonly<HubCounters> | undefined {
    return this.#uplinkEnd?.counters;
  }

  /** All there are now. */
  get ends(): readonly HubEnd[] {
    return [...this.#ends];
  }

  /** A port for the card `name`, whose address is `mac`. @throws {RangeError} if that address has a port already */
  attach(mac: Uint8Array, name: string): HubPort {
    return new HubPort(this, mac, {
      add: (deliver, delivered) => {
        const end = this.#add(name, deliver, delivered);
        if (this.#addresses.fix(addressAt(mac, 0), end)) return end;
        this.#ends.delete(end);
        throw new RangeError(`Cannot attach to hub ${this.name}: two cards have one MAC address`);
      },
      forward: (end, frame) => void this.#forward(end, frame),
      flush: (end) => this.#soon(end),
      silent: (end) => {
        end.ring.clear();
        this.#addresses.forget(end);
      },
      remove: (end) => {
        this.#ends.delete(end);
        this.#addresses.remove(end);
      },
    });
  }

  /** Closes the uplink; frames for ports are dropped from now on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ends.clear();
    await this.#uplink?.[Symbol.asyncDispose]();
  }

  #add(name: string, deliver: End["deliver"], delivered: End["delivered"]): End {
    const ring = new FrameRing(HEADER + ETHERNET + VLAN_TAG + this.mtu);
    const counters = { received: 0, sent: 0, dropped: 0, foreign: 0, malformed: 0 };
    const end: End = { name, ring, counters, deliver, delivered, dirty: false };
    this.#ends.add(end);
    return end;
  }

  /** Copies the frame to whom it is for. Always true: who cannot take it loses it. */
  #forward(from: End, frame: Uint8Array): true {
    from.counters.received++;
    if (!isWhole(frame, this.mtu)) {
      from.counters.malformed++;
      return true;
    }
    if (!this.#addresses.learn(addressAt(frame, AT.source), from)) {
      from.counters.foreign++;
      return true;
    }
    const group = (frame[AT.target]! & 1) !== 0;
    const to = group ? undefined : this.#addresses.find(addressAt(frame, AT.target));
    if (to !== undefined) {
      if (to !== from) this.#queue(to, frame);
      return true;
    }
    for (const end of this.#ends) if (end !== from) this.#queue(end, frame);
    return true;
  }

  #queue(end: End, frame: Uint8Array): void {
    if (end.ring.push(frame)) this.#soon(end);
    else end.counters.dropped++;
  }

  /** When the sender's turn is over: what it sent comes as one batch. */
  #soon(end: End): void {
    end.dirty = true;
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      for (const each of this.#ends) if (each.dirty) flush(each);
    });
  }
}

function flush(end: End): void {
  end.dirty = false;
  let count = 0;
  for (let frame; (frame = end.ring.peek()) !== undefined; count++) {
    // What an uplink says of checksums is said for the hub; cards that share one have none of it.
    frame.fill(0, 0, HEADER);
    if (!end.deliver(frame)) break;
    end.ring.shift();
    end.counters.sent++;
  }
  if (count > 0) end.delivered();
}

/** An Ethernet frame from one station, with nothing left to do on it, and no longer than the MTU allows. */
function isWhole(frame: Uint8Array, mtu: number): boolean {
  const length = frame.length - HEADER;
  if (length < ETHERNET || length > ETHERNET + VLAN_TAG + mtu) return false;
  if ((frame[AT.flags]! & NEEDS_CSUM) !== 0 || frame[AT.gso] !== 0) return false;
  return (frame[AT.source]! & 1) === 0;
}

/** What a port asks of its hub. */
interface Inside {
  add(deliver: End["deliver"], delivered: End["delivered"]): End;
  forward(from: End, frame: Uint8Array): void;
  flush(end: End): void;
  silent(end: End): void;
  remove(end: End): void;
}

/** One card's end of a hub, as a network backend. The hub outlives it. */
export class HubPort implements NetBackend {
  readonly name: string;
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly offloads = { checksum: false, segmentation: false } as const;
  readonly #inside: Inside;
  readonly #end: End;
  #events: NetEvents | undefined;
  #closed = false;

  constructor(hub: Pick<Hub, "name" | "mtu">, mac: Uint8Array, inside: Inside) {
    this.name = `hub:${hub.name}`;
    this.mac = checkedMac(mac);
    this.mtu = hub.mtu;
    this.#inside = inside;
    this.#end = inside.add(
      (frame) => this.#events?.receive(frame) ?? true,
      () => this.#events?.received(),
    );
  }

  get counters(): Readonly<HubCounters> {
    return this.#end.counters;
  }

  /** Never full: the hub drops what its receiver cannot take. */
  send(frame: Uint8Array): true {
    if (!this.#closed) this.#inside.forward(this.#end, frame);
    return true;
  }

  open(events: NetEvents): void {
    this.#events = events;
    queueMicrotask(() => this.#events?.link(true));
  }

  resume(): void {
    if (!this.#closed) this.#inside.flush(this.#end);
  }

  /** A driver starts, or is gone: what waited was for the one before. */
  accepted(): void {
    if (!this.#closed) this.#inside.silent(this.#end);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#events = undefined;
    this.#inside.remove(this.#end);
    return Promise.resolve();
  }
}
