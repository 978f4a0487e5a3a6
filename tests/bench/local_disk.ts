/**
 * A virtio block device with nothing between it and the driver: what a disk costs when there is no bridge.
 *
 * It serves requests from within the notification, straight from an image file and into it, with the system calls that
 * the bridge's host uses. It trusts its driver to lay out requests as Linux does.
 *
 * @module
 */
import { VirtioPciFunction } from "../../card/driver/virtio_pci.ts";
import type { CardMemory } from "../../card/machine/types.ts";
import {
  type ChainWalker,
  FEATURE,
  featureSet,
  le32,
  viewOf,
  virtioBlock,
} from "../../protocol/mod.ts";
import { ImageFile } from "./image_file.ts";
import { LocalQueue } from "./local_queue.ts";

const { CONFIG, REQUEST, REQUEST_TYPE, SECTOR_SIZE, STATUS } = virtioBlock;
const QUEUE_SIZE = 256;
const SEGMENTS = 126;

export class LocalDisk implements Disposable {
  readonly function: VirtioPciFunction;
  readonly #memory: CardMemory;
  readonly #image: ImageFile;
  readonly #config = new Uint8Array(CONFIG.at.seg_max + 4);
  #queue: LocalQueue | undefined;

  constructor(memory: CardMemory, path: string) {
    this.#memory = memory;
    this.#image = new ImageFile(path);
    const view = viewOf(this.#config);
    const sectors = Math.floor(this.#image.size / SECTOR_SIZE);
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
        queueEnabled: (_queue, ring) => this.#queue = new LocalQueue(memory, ring),
        statusChanged: () => {},
        driverOk: () => this.#serve(),
        resetRequested: () => {
          this.#queue = undefined;
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
    this.#image[Symbol.dispose]();
  }

  #serve(): void {
    const queue = this.#queue!;
    let given = false;
    for (; queue.waiting > 0; given = true) queue.give(this.#request(queue.look(0)));
    if (given && queue.interrupts) this.function.queueInterrupt();
  }

  /** Serves one request; returns the bytes written. Its head is one buffer, and its status the last byte. */
  #request(walker: ChainWalker): number {
    const view = this.#memory.view();
    const { type, sector } = REQUEST.read(view, walker.addresses[0]!);
    const last = walker.readableCount + walker.writableCount - 1;
    const [from, to] = type === REQUEST_TYPE.IN
      ? [walker.readableCount, last]
      : [1, walker.readableCount];
    let position = sector * SECTOR_SIZE;
    for (let i = from; i < to; i++) {
      const address = walker.addresses[i]!;
      const bytes = this.#memory.bytes().subarray(address, address + walker.lengths[i]!);
      if (type === REQUEST_TYPE.IN) {
        this.#image.read(position, bytes);
        this.#memory.written(address, address + bytes.length);
      } else if (type === REQUEST_TYPE.OUT) this.#image.write(position, bytes);
      position += bytes.length;
    }
    const known = type === REQUEST_TYPE.IN || type === REQUEST_TYPE.OUT ||
      type === REQUEST_TYPE.FLUSH;
    view.setUint8(walker.addresses[last]!, known ? STATUS.OK : STATUS.UNSUPP);
    return walker.writableLength;
  }
}
