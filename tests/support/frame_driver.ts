/**
 * Network driver that hands frames on as they are (virtio 1.3 §5.1): from the device to a network backend of this
 * machine and back, with their virtio-net header, so that a checksum or a segmentation that one end left open is still
 * open at the other.
 *
 * A frame that the other side cannot take now stays where it is, and everything behind it: nothing is dropped here.
 *
 * @module
 */
import type { Board } from "../../card/machine/diag/board.ts";
import { BufferPool } from "../../card/machine/diag/os/buffer_pool.ts";
import type { Heap } from "../../card/machine/diag/os/heap.ts";
import type { VirtioDriver, VirtioTransport } from "../../card/machine/diag/os/virtio.ts";
import type { NetBackend } from "../../host/backends/types.ts";
import { DeviceError, type UsedChain, virtioNet } from "../../protocol/mod.ts";

const { FEATURE, HEADER, MAX_FRAME, QUEUE } = virtioNet;

const TO_DEVICE = FEATURE.CSUM | FEATURE.HOST_TSO4 | FEATURE.HOST_TSO6;
const TO_DRIVER = FEATURE.GUEST_CSUM | FEATURE.GUEST_TSO4 | FEATURE.GUEST_TSO6;
/** Chains of a queue: as many as the host offers, or as 64 KiB each leave memory for. */
const PLAIN_RING = 1024;
const SEGMENT_RING = 256;
/** Header, Ethernet header with a VLAN tag, 1500 bytes. */
const PLAIN_BUFFER = 1536;
/** Without merged buffers each has room for a whole segment (§5.1.6.3.1). */
const SEGMENT_BUFFER = Math.ceil((HEADER.size + MAX_FRAME) / 64) * 64;

export interface FrameDriverOptions {
  readonly board: Board;
  readonly heap: Heap;
  readonly transport: VirtioTransport;
  readonly net: NetBackend;
  readonly offload: boolean;
}

export class FrameDriver implements VirtioDriver {
  readonly #memory: Uint8Array;
  readonly #transport: VirtioTransport;
  readonly #net: NetBackend;
  readonly #in: BufferPool;
  readonly #out: BufferPool;
  readonly #used: UsedChain = { head: 0, written: 0 };
  /** The chain whose frame the backend would not take. */
  readonly #held: UsedChain = { head: -1, written: 0 };
  #starved = false;

  /** @throws {DeviceError} for a device without what `offload` asks */
  static async start(options: FrameDriverOptions, signal: AbortSignal): Promise<void> {
    const { transport, offload, net } = options;
    const wanted = offload ? TO_DEVICE | TO_DRIVER : 0n;
    await transport.negotiate(wanted, signal);
    if ((transport.features & wanted) !== wanted) {
      throw new DeviceError(`Cannot offload: the device offers ${transport.features.toString(16)}`);
    }
    const driver = new FrameDriver(options);
    net.accepted?.({ checksum: offload, segmentation: offload });
    net.open({
      receive: (frame) => driver.#send(frame),
      received: () => transport.kick(QUEUE.transmit),
      writable: () => driver.used(),
      link: () => {},
    });
    transport.start(driver);
    driver.#in.offerAll();
    transport.kick(QUEUE.receive);
  }

  private constructor({ board, heap, transport, net, offload }: FrameDriverOptions) {
    this.#memory = board.memory;
    this.#transport = transport;
    this.#net = net;
    const buffer = offload ? SEGMENT_BUFFER : PLAIN_BUFFER;
    const size = offload ? SEGMENT_RING : PLAIN_RING;
    const pool = (index: number) => {
      const queue = transport.queue(index, { size, indirect: 0 });
      if (!queue) throw new DeviceError(`Cannot drive network device: it has no queue ${index}`);
      return new BufferPool(heap, queue, size, buffer);
    };
    this.#in = pool(QUEUE.receive);
    this.#out = pool(QUEUE.transmit);
    this.#out.queue.ignoreUsed();
  }

  used(): void {
    const pool = this.#in;
    do {
      while (this.#held.head >= 0 || pool.queue.popUsed(this.#held)) {
        const { head, written } = this.#held;
        const at = pool.address(head);
        if (!this.#net.send(this.#memory.subarray(at, at + written))) return this.#offered();
        this.#held.head = -1;
        pool.recycle(head);
        pool.offer();
      }
    } while (!pool.queue.awaitUsed());
    this.#offered();
  }

  configChanged(): void {}

  failed(error: Error): void {
    throw error;
  }

  #offered(): void {
    this.#transport.kick(QUEUE.receive);
    if (!this.#starved) return;
    this.#starved = false;
    this.#net.resume();
  }

  /** One frame from the backend, header first; false while all buffers are with the device. */
  #send(frame: Uint8Array): boolean {
    const out = this.#out;
    const address = this.#claim();
    if (address === undefined) {
      this.#starved = true;
      this.#transport.kick(QUEUE.transmit);
      return false;
    }
    this.#memory.set(frame, address);
    out.send(address, frame.length);
    return true;
  }

  #claim(): number | undefined {
    const out = this.#out;
    const free = out.claim();
    if (free !== undefined) return free;
    // None came back until the interrupt was asked for: then it will come.
    do {
      while (out.queue.popUsed(this.#used)) out.recycle(this.#used.head);
      const address = out.claim();
      if (address !== undefined) {
        out.queue.ignoreUsed();
        return address;
      }
    } while (!out.queue.awaitUsed());
    return undefined;
  }
}
