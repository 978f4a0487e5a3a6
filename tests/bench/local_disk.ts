/**
 * A virtio block device with nothing between it and the driver: what a disk costs when there is no bridge.
 *
 * It serves requests from within the notification, straight from an image file and into it, with the system calls that
 * the bridge's host uses. It trusts its driver to lay out requests as Linux does.
 *
 * @module
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { VirtioPciFunction } from "../../card/driver/virtio_pci.ts";
import type { CardMemory } from "../../card/machine/types.ts";
import {
  advance,
  AVAIL_F_NO_INTERRUPT,
  availableEntry,
  ChainWalker,
  FEATURE,
  featureSet,
  le16,
  le32,
  type SplitRing,
  usedEntry,
  viewOf,
  virtioBlock,
  VIRTQ_RING,
  VIRTQ_USED_ELEM,
} from "../../protocol/mod.ts";

const { CONFIG, REQUEST, REQUEST_TYPE, SECTOR_SIZE, STATUS } = virtioBlock;
const QUEUE_SIZE = 256;
const SEGMENTS = 126;

export class LocalDisk implements Disposable {
  readonly function: VirtioPciFunction;
  readonly #memory: CardMemory;
  readonly #file: number;
  readonly #config = new Uint8Array(CONFIG.at.seg_max + 4);
  #ring: SplitRing | undefined;
  #walker: ChainWalker | undefined;
  /** Available entries taken, which is used entries given back; mod 2^16. */
  #served = 0;

  constructor(memory: CardMemory, path: string) {
    this.#memory = memory;
    this.#file = openSync(path, "r+");
    const view = viewOf(this.#config);
    const sectors = Math.floor(fstatSync(this.#file).size / SECTOR_SIZE);
    le32.set(view, CONFIG.at.capacity, sectors >>> 0);
    le32.set(view, CONFIG.at.capacity + 4, Math.floor(sectors / 2 ** 32));
    le32.set(view, CONFIG.at.seg_max, SEGMENTS);
    this.function = new VirtioPciFunction(
      {
        name: "disk",
        type: virtioBlock.TYPE,
        queueSizes: [QUEUE_SIZE],
        features: featureSet(FEATURE.VERSION_1, FEATURE.INDIRECT_DESC) |
          virtioBlock.FEATURE.SEG_MAX | virtioBlock.FEATURE.FLUSH,
        configLength: this.#config.length,
        deviceConfig: () => this.#config,
        configGeneration: () => 0,
      },
      {
        featuresAccepted: () => {},
        queueEnabled: (_queue, ring) => this.#enable(ring),
        statusChanged: () => {},
        driverOk: () => this.#serve(),
        resetRequested: () => {
          this.#ring = undefined;
          this.function.resetDone();
        },
        notified: () => this.#serve(),
        configWritten: () => {},
        refused(error) {
          throw error;
        },
      },
      memory.size,
    );
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  #enable(ring: SplitRing): void {
    this.#ring = ring;
    this.#served = 0;
    this.#walker = new ChainWalker({ ring, memorySize: this.#memory.size, indirect: true });
  }

  #serve(): void {
    const ring = this.#ring!;
    const before = this.#served;
    while (true) {
      const view = this.#memory.view();
      if (le16.get(view, ring.availableRing + VIRTQ_RING.at.idx) === this.#served) break;
      const slot = this.#served % ring.size;
      const head = le16.get(view, ring.availableRing + availableEntry(slot));
      const length = this.#request(view, head);
      VIRTQ_USED_ELEM.write(view, { id: head, len: length }, ring.usedRing + usedEntry(slot));
      this.#served = advance(this.#served, 1);
      le16.set(view, ring.usedRing + VIRTQ_RING.at.idx, this.#served);
    }
    if (before === this.#served) return;
    const flags = le16.get(this.#memory.view(), ring.availableRing + VIRTQ_RING.at.flags);
    if ((flags & AVAIL_F_NO_INTERRUPT) === 0) this.function.queueInterrupt();
  }

  /** Serves one request; returns the bytes written. Its head is one buffer, and its status the last byte. */
  #request(view: DataView, head: number): number {
    const walker = this.#walker!;
    walker.walk(view, head);
    const { type, sector } = REQUEST.read(view, walker.addresses[0]!);
    const last = walker.readableCount + walker.writableCount - 1;
    const [from, to] = type === REQUEST_TYPE.IN
      ? [walker.readableCount, last]
      : [1, walker.readableCount];
    let position = sector;
    for (let i = from; i < to; i++) {
      const address = walker.addresses[i]!;
      const bytes = this.#memory.bytes().subarray(address, address + walker.lengths[i]!);
      if (type === REQUEST_TYPE.IN) {
        this.#read(position, bytes);
        this.#memory.written(address, address + bytes.length);
      } else if (type === REQUEST_TYPE.OUT) this.#write(position, bytes);
      position += bytes.length / SECTOR_SIZE;
    }
    const known = type === REQUEST_TYPE.IN || type === REQUEST_TYPE.OUT ||
      type === REQUEST_TYPE.FLUSH;
    view.setUint8(walker.addresses[last]!, known ? STATUS.OK : STATUS.UNSUPP);
    return walker.writableLength;
  }

  #read(sector: number, into: Uint8Array): void {
    for (let done = 0; done < into.length;) {
      const position = sector * SECTOR_SIZE + done;
      done += readSync(this.#file, into, done, into.length - done, position);
    }
  }

  #write(sector: number, from: Uint8Array): void {
    for (let done = 0; done < from.length;) {
      const position = sector * SECTOR_SIZE + done;
      done += writeSync(this.#file, from, done, from.length - done, position);
    }
  }
}
