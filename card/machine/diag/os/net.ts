/**
 * Network driver of the diagnostic OS (virtio 1.3 §5.1): whole Ethernet frames, no offloads, one buffer a frame.
 *
 * @module
 */
import { DeviceError, type UsedChain, viewOf, virtioNet } from "../../../../protocol/mod.ts";
import type { Board } from "../board.ts";
import { BufferPool } from "./buffer_pool.ts";
import type { Heap } from "./heap.ts";
import type { VirtioDriver, VirtioTransport } from "./virtio.ts";

const { CONFIG, FEATURE, HEADER, QUEUE, STATUS_LINK_UP } = virtioNet;

const DEFAULT_MTU = 1500;
/** Ethernet header with a VLAN tag. */
const ETHERNET_OVERHEAD = 18;
const BUFFERS = 64;
const QUEUE_WISH = { size: BUFFERS, indirect: 0 };

export class NetDriver implements VirtioDriver {
  readonly transport: VirtioTransport;
  readonly mac: Uint8Array;
  /** Bytes of an IP packet at most. */
  readonly mtu: number;
  linkUp: boolean;
  readonly counters = { received: 0, sent: 0, dropped: 0 };
  /** Gets each frame; it is valid only during the call. */
  onFrame: (frame: Uint8Array) => void = () => {};
  readonly #board: Board;
  readonly #in: BufferPool;
  readonly #out: BufferPool;
  readonly #used: UsedChain = { head: 0, written: 0 };
  #lost = false;

  static async open(
    board: Board,
    heap: Heap,
    transport: VirtioTransport,
    signal: AbortSignal,
  ): Promise<NetDriver> {
    await transport.negotiate(FEATURE.MAC | FEATURE.MTU | FEATURE.STATUS, signal);
    const driver = new NetDriver(board, heap, transport);
    transport.start(driver);
    driver.#in.offerAll();
    transport.kick(QUEUE.receive);
    return driver;
  }

  private constructor(board: Board, heap: Heap, transport: VirtioTransport) {
    this.#board = board;
    this.transport = transport;
    const has = (bit: bigint) => (transport.features & bit) !== 0n;
    const config = this.#config();
    this.mac = has(FEATURE.MAC) ? config.slice(0, 6) : randomMac();
    const { mtu, status } = CONFIG.read(viewOf(config));
    this.mtu = has(FEATURE.MTU) ? mtu : DEFAULT_MTU;
    this.linkUp = !has(FEATURE.STATUS) || (status & STATUS_LINK_UP) !== 0;
    const size = Math.ceil((HEADER.size + ETHERNET_OVERHEAD + this.mtu) / 64) * 64;
    const pool = (index: number) => {
      const queue = transport.queue(index, QUEUE_WISH);
      if (!queue) throw new DeviceError(`Cannot drive network device: it has no queue ${index}`);
      return new BufferPool(heap, queue, BUFFERS, size);
    };
    this.#in = pool(QUEUE.receive);
    this.#out = pool(QUEUE.transmit);
    this.#out.queue.ignoreUsed();
  }

  /** Sends a frame, which it copies; false if it was dropped: no free buffer, or no device. */
  send(frame: Uint8Array): boolean {
    const out = this.#out;
    if (this.#lost || frame.length > out.size - HEADER.size) return false;
    while (out.queue.popUsed(this.#used)) out.recycle(this.#used.head);
    const address = out.claim();
    if (address === undefined) {
      this.counters.dropped++;
      return false;
    }
    const { memory } = this.#board;
    memory.fill(0, address, address + HEADER.size);
    memory.set(frame, address + HEADER.size);
    out.send(address, HEADER.size + frame.length);
    this.transport.kick(QUEUE.transmit);
    this.counters.sent++;
    return true;
  }

  used(): void {
    const pool = this.#in;
    do {
      while (pool.queue.popUsed(this.#used)) {
        const { head, written } = this.#used;
        const at = pool.address(head);
        if (written > HEADER.size) {
          this.counters.received++;
          this.onFrame(this.#board.memory.subarray(at + HEADER.size, at + written));
        }
        pool.recycle(head);
        pool.offer();
      }
    } while (!pool.queue.awaitUsed());
    this.transport.kick(QUEUE.receive);
  }

  configChanged(): void {
    if (!(this.transport.features & FEATURE.STATUS)) return;
    this.linkUp = (CONFIG.read(viewOf(this.#config())).status & STATUS_LINK_UP) !== 0;
  }

  failed(): void {
    this.#lost = true;
  }

  #config(): Uint8Array {
    const bytes = new Uint8Array(CONFIG.size);
    bytes.set(this.transport.deviceConfig().subarray(0, CONFIG.size));
    return bytes;
  }
}

/** Locally administered, unicast. */
function randomMac(): Uint8Array {
  const mac = crypto.getRandomValues(new Uint8Array(6));
  mac[0] = (mac[0]! & 0xfc) | 0x02;
  return mac;
}
