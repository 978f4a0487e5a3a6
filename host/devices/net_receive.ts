/**
 * Frames from the backend into the driver's receive buffers (virtio 1.3 §5.1.6.4).
 *
 * With MRG_RXBUF a frame takes as many buffers as it needs, and the first says how many. A frame for which there are
 * no buffers stays with the backend, which is told when there are: nothing is dropped for want of buffers, and nothing
 * freezes. Buffers that were taken for a frame that did not fit yet are kept for it. Of buffers the driver makes
 * available the device hears only while it waits for some.
 *
 * What is dropped, and counted: a frame that needs an offload the driver does not know, one that is longer than the MTU
 * that the driver knows, and one that cannot fit even if the driver gave all buffers of its queue.
 *
 * @module
 */
import { DriverError, le16, viewOf, virtioNet } from "../../protocol/mod.ts";
import type { DescriptorChain, DeviceQueue, DeviceSession } from "../driver/virtio_device.ts";

const { FEATURE, GSO, HEADER, HEADER_FLAG } = virtioNet;

/** What the flags of a header may say to a driver with GUEST_CSUM; others have features that are not offered. */
const KNOWN_FLAGS = HEADER_FLAG.NEEDS_CSUM | HEADER_FLAG.DATA_VALID;

/** Bytes that no MTU counts: the Ethernet header, and a VLAN tag in it. */
const ETHERNET_HEADER = 14;
const VLAN_TAG = 4;
const TAGGED: readonly number[] = [0x8100, 0x88a8];

export class NetReceive {
  readonly #session: DeviceSession;
  readonly #queue: DeviceQueue;
  readonly #resume: () => void;
  readonly #mergeable: boolean;
  /** Longest packet that is no segment, in bytes behind the Ethernet header. */
  readonly #mtu: number;
  /** Buffers taken and not yet filled, oldest first, and their bytes. */
  #buffers: DescriptorChain[] = [];
  #room = 0;
  #unpublished = false;
  /** The backend keeps a frame: for want of buffers, or because the link is full. */
  #starved = false;
  #lacksBuffers = false;
  #awaitingLink = false;
  #stopped = false;
  /** What `#fill` copies: a frame from `#from` on; `#count` goes into its header. */
  #frame: Uint8Array = new Uint8Array(0);
  #from = 0;
  readonly #count = new Uint8Array(2);
  /** Frames that this driver was given, their bytes without headers, and those that it could not be given. */
  received = 0;
  receivedBytes = 0;
  dropped = 0;

  /**
   * @param mtu as configuration space has it
   * @param resume tells the backend, after `receive` returned false, that it may try again
   */
  constructor(session: DeviceSession, queue: DeviceQueue, mtu: number, resume: () => void) {
    this.#session = session;
    this.#queue = queue;
    this.#resume = resume;
    this.#mergeable = (session.features & FEATURE.MRG_RXBUF) !== 0n;
    this.#mtu = (session.features & FEATURE.MTU) !== 0n ? mtu : Infinity;
  }

  /** `frame` is a 12-byte header and an Ethernet frame. False: no room now, `resume` will be called. */
  receive(frame: Uint8Array): boolean {
    if (this.#stopped) return true;
    if (!this.#session.writable) {
      this.publish();
      this.#starved = true;
      this.#awaitLink();
      return false;
    }
    try {
      if (!this.#known(frame)) {
        this.dropped++;
        return true;
      }
      if (this.#collect(frame.length)) {
        this.#deliver(frame);
        return true;
      }
    } catch (error) {
      this.stop();
      // Later: it stops the device, which calls the backend, which is calling us.
      queueMicrotask(() => this.#session.fail(error));
      return true;
    }
    if (!this.#hopeless()) {
      this.#starved = this.#lacksBuffers = true;
      // The driver refills its queue when it sees used buffers: it must see those there are.
      this.publish();
      return false;
    }
    this.dropped++;
    return true;
  }

  /** The end of a batch, or of a backend's patience. */
  publish(): void {
    if (this.#stopped || !(this.#unpublished || this.#lacksBuffers)) return;
    this.#unpublished = false;
    this.#queue.wantMsi(this.#lacksBuffers);
    this.#queue.publish();
  }

  /** The driver made buffers available. */
  notified(): void {
    if (this.#queue.pending) this.#wake();
  }

  /** No buffer is touched after this. */
  stop(): void {
    this.#stopped = true;
    this.#buffers = [];
  }

  #awaitLink(): void {
    if (this.#awaitingLink) return;
    this.#awaitingLink = true;
    this.#session.onWritable(() => {
      this.#awaitingLink = false;
      this.#wake();
    });
  }

  #wake(): void {
    if (this.#stopped || !this.#starved) return;
    this.#starved = false;
    this.#resume();
  }

  /** Whether the driver negotiated what the frame asks of it (§5.1.4.1, §5.1.6.4.1). */
  #known(frame: Uint8Array): boolean {
    const { features } = this.#session;
    const flags = frame[HEADER.at.flags]!;
    const gso = frame[HEADER.at.gso_type]!;
    const checksums = (features & FEATURE.GUEST_CSUM) !== 0n;
    const partial = (flags & HEADER_FLAG.NEEDS_CSUM) !== 0;
    if (partial && !checksums) return false;
    // What else flags say is news, not a need.
    const known = checksums ? flags & KNOWN_FLAGS : 0;
    if (known !== flags) frame[HEADER.at.flags] = known;
    if (gso === GSO.NONE) return this.#fitsMtu(frame);
    // A segment says how it is to be cut, and lacks its checksum.
    if (!partial || (frame[HEADER.at.gso_size] === 0 && frame[HEADER.at.gso_size + 1] === 0)) {
      return false;
    }
    if ((gso & GSO.ECN) !== 0 && (features & FEATURE.GUEST_ECN) === 0n) return false;
    const type = gso & ~GSO.ECN;
    if (type === GSO.TCPV4) return (features & FEATURE.GUEST_TSO4) !== 0n;
    return type === GSO.TCPV6 && (features & FEATURE.GUEST_TSO6) !== 0n;
  }

  #fitsMtu(frame: Uint8Array): boolean {
    const packet = frame.length - HEADER.size - ETHERNET_HEADER;
    if (packet <= this.#mtu) return true;
    const type = HEADER.size + ETHERNET_HEADER - 2;
    return packet <= this.#mtu + VLAN_TAG && TAGGED.includes(frame[type]! << 8 | frame[type + 1]!);
  }

  /** Takes buffers until they hold `length` bytes. */
  #collect(length: number): boolean {
    while (this.#room < length && (this.#mergeable || this.#buffers.length === 0)) {
      const chain = this.#queue.pop();
      if (chain === undefined) return false;
      // §5.1.6.3.1: a buffer holds a header at least.
      if (chain.writableLength < HEADER.size) {
        throw new DriverError(
          "request",
          `Cannot use receive buffer: ${chain.writableLength} bytes, wanted ${HEADER.size} or more`,
        );
      }
      this.#buffers.push(chain);
      this.#room += chain.writableLength;
    }
    return this.#room >= length;
  }

  /** No buffer can come that would make the frame fit. */
  #hopeless(): boolean {
    return this.#buffers.length >= (this.#mergeable ? this.#queue.size : 1);
  }

  #deliver(frame: Uint8Array): void {
    this.#frame = frame;
    this.#from = 0;
    let count = 0;
    for (let room = 0; room < frame.length; count++) room += this.#buffers[count]!.writableLength;
    // Without MRG_RXBUF, too, it is 1 (§5.1.6.4.1).
    le16.set(viewOf(this.#count), 0, count);
    for (let i = 0; i < count; i++) {
      const chain = this.#buffers[i]!;
      const length = Math.min(chain.writableLength, frame.length - this.#from);
      this.#queue.writeWith(chain, 0, length, this.#fill);
      this.#queue.push(chain, length);
      this.#from += length;
      this.#room -= chain.writableLength;
    }
    this.#buffers.splice(0, count);
    this.received++;
    this.receivedBytes += frame.length - HEADER.size;
    this.#unpublished = true;
    this.#lacksBuffers = false;
  }

  readonly #fill = (into: Uint8Array, at: number): void => {
    const from = this.#from + at;
    into.set(this.#frame.subarray(from, from + into.length));
    for (let i = 0; i < 2; i++) {
      const place = HEADER.at.num_buffers + i - from;
      if (place >= 0 && place < into.length) into[place] = this.#count[i]!;
    }
  };
}
