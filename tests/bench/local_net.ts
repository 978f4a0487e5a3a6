/**
 * A virtio network device with nothing between it and the driver: what a TAP costs when there is no bridge.
 *
 * Frames go to the backend from within the notification; it offers what the bridge's host offers of a TAP.
 *
 * @module
 */
import { VirtioPciFunction } from "../../card/driver/virtio_pci.ts";
import type { CardMemory } from "../../card/machine/types.ts";
import type { NetBackend } from "../../host/backends/types.ts";
import { FEATURE as TRANSPORT, featureSet, le16, viewOf, virtioNet } from "../../protocol/mod.ts";
import { LocalQueue } from "./local_queue.ts";

const { CONFIG, FEATURE, HEADER, MAX_FRAME, QUEUE, STATUS_LINK_UP, TYPE } = virtioNet;

const OFFLOADS = FEATURE.CSUM | FEATURE.GUEST_CSUM | FEATURE.HOST_TSO4 | FEATURE.HOST_TSO6 |
  FEATURE.HOST_ECN | FEATURE.GUEST_TSO4 | FEATURE.GUEST_TSO6 | FEATURE.GUEST_ECN;

export class LocalNet {
  readonly function: VirtioPciFunction;
  readonly #memory: CardMemory;
  readonly #backend: NetBackend;
  readonly #config = new Uint8Array(CONFIG.size);
  readonly #queues: (LocalQueue | undefined)[] = [];
  readonly #frame = new Uint8Array(HEADER.size + MAX_FRAME);
  #live = false;

  constructor(memory: CardMemory, backend: NetBackend) {
    this.#memory = memory;
    this.#backend = backend;
    this.#config.set(backend.mac, CONFIG.at.mac0);
    le16.set(viewOf(this.#config), CONFIG.at.status, STATUS_LINK_UP);
    le16.set(viewOf(this.#config), CONFIG.at.mtu, backend.mtu);
    this.function = new VirtioPciFunction(
      {
        name: "net",
        type: TYPE,
        queueSizes: [1024, 256],
        features: featureSet(TRANSPORT.VERSION_1, TRANSPORT.INDIRECT_DESC) | OFFLOADS |
          FEATURE.MAC | FEATURE.MTU | FEATURE.STATUS | FEATURE.MRG_RXBUF,
        configLength: this.#config.length,
        deviceConfig: () => this.#config,
        configGeneration: () => 0,
      },
      {
        featuresAccepted: () => backend.accepted?.({ checksum: true, segmentation: true }),
        queueEnabled: (queue, ring) => this.#queues[queue] = new LocalQueue(memory, ring),
        statusChanged: () => {},
        driverOk: () => this.#live = true,
        resetRequested: () => {
          this.#live = false;
          this.#queues.length = 0;
          this.function.resetDone();
        },
        notified: (queue) => queue === QUEUE.transmit ? this.#transmit() : backend.resume(),
        configWritten: () => {},
        refused(error) {
          throw error;
        },
      },
      memory.size,
    );
    backend.open({
      receive: (frame) => this.#receive(frame),
      received: () => {
        if (this.#queues[QUEUE.receive]?.interrupts) this.function.queueInterrupt();
      },
      writable: () => this.#transmit(),
      link: () => {},
    });
  }

  #transmit(): void {
    const queue = this.#queues[QUEUE.transmit];
    if (!this.#live || queue === undefined) return;
    let given = false;
    while (queue.waiting > 0) {
      const { addresses, lengths, readableCount } = queue.look(0);
      const memory = this.#memory.bytes();
      let length = 0;
      for (let i = 0; i < readableCount; i++) {
        const address = addresses[i]!;
        this.#frame.set(memory.subarray(address, address + lengths[i]!), length);
        length += lengths[i]!;
      }
      if (!this.#backend.send(this.#frame.subarray(0, length))) break;
      queue.give(0);
      given = true;
    }
    if (given && queue.interrupts) this.function.queueInterrupt();
  }

  /** Fills as many buffers as the frame takes (§5.1.6.4); false if there are too few. */
  #receive(frame: Uint8Array): boolean {
    const queue = this.#queues[QUEUE.receive];
    if (!this.#live || queue === undefined) return true;
    const { waiting } = queue;
    let count = 0;
    for (let room = 0; room < frame.length; room += queue.look(count++).writableLength) {
      if (count === waiting) return false;
    }
    le16.set(viewOf(frame), HEADER.at.num_buffers, count);
    for (let at = 0; at < frame.length;) {
      const { addresses, lengths, writableCount } = queue.look(0);
      const start = at;
      for (let i = 0; i < writableCount && at < frame.length; i++) {
        const piece = frame.subarray(at, at + lengths[i]!);
        const address = addresses[i]!;
        this.#memory.bytes().set(piece, address);
        this.#memory.written(address, address + piece.length);
        at += piece.length;
      }
      queue.give(at - start);
    }
    return true;
  }
}
