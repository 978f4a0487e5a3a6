/**
 * A disk of the diagnostic OS for those who want promises and byte arrays: commands, tests. Each call is one request
 * unless it is larger than the device takes at once; then all parts are in flight together.
 *
 * @module
 */
import { virtioBlock } from "../../../../protocol/mod.ts";
import type { Board } from "../board.ts";
import { type BlockDriver, STATUS_LOST, succeeded } from "./block.ts";
import type { Block, Heap } from "./heap.ts";

const { ID_SIZE, RANGE_UNMAP, REQUEST_TYPE, SECTOR_SIZE, STATUS } = virtioBlock;

/** A request that came back with an error status, or not at all. */
export class DiskError extends Error {
  override readonly name = "DiskError";
}

export class Disk {
  /** `vda`, `vdb`, ... */
  readonly name: string;
  readonly driver: BlockDriver;
  readonly #board: Board;
  readonly #heap: Heap;
  #waiting: (() => void)[] = [];

  constructor(name: string, driver: BlockDriver, board: Board, heap: Heap) {
    this.name = name;
    this.driver = driver;
    this.#board = board;
    this.#heap = heap;
    driver.onIdle = () => {
      if (this.#waiting.length === 0) return;
      for (const wake of this.#waiting.splice(0)) wake();
    };
  }

  /** Capacity, in sectors of 512 bytes. */
  get sectors(): number {
    return this.driver.sectors;
  }

  /** Reads `count` sectors. @throws {DiskError} */
  async read(sector: number, count: number): Promise<Uint8Array> {
    const block = this.#heap.allocate(count * SECTOR_SIZE, SECTOR_SIZE);
    try {
      await this.#transfer(REQUEST_TYPE.IN, sector, block, "read");
      return this.#board.memory.slice(block.address, block.address + block.length);
    } finally {
      this.#release(block);
    }
  }

  /** Writes whole sectors. @throws {RangeError} for a part of one @throws {DiskError} */
  async write(sector: number, bytes: Uint8Array): Promise<void> {
    if (bytes.length % SECTOR_SIZE !== 0) {
      throw new RangeError(`Cannot write ${bytes.length} bytes: wanted a multiple of 512`);
    }
    const block = this.#heap.allocate(bytes.length, SECTOR_SIZE);
    this.#board.memory.set(bytes, block.address);
    try {
      await this.#transfer(REQUEST_TYPE.OUT, sector, block, "write");
    } finally {
      this.#release(block);
    }
  }

  /** Waits until what was written is stable. Nothing to do for a device without a volatile cache. */
  async flush(): Promise<void> {
    if (!this.driver.canFlush) return;
    await this.#one("flush", 0, (done) => this.driver.submit(REQUEST_TYPE.FLUSH, 0, 0, 0, done, 0));
  }

  /** @throws {DiskError} also if the device cannot discard */
  async discard(sector: number, count: number): Promise<void> {
    if (!this.driver.canDiscard) {
      throw new DiskError(`Cannot discard: ${this.name} does not offer it`);
    }
    await this.#one(
      "discard",
      sector,
      (done) => this.driver.submitRange(REQUEST_TYPE.DISCARD, sector, count, 0, done, 0),
    );
  }

  /** The range reads as zeros afterwards. @throws {DiskError} also if the device cannot write zeroes */
  async writeZeroes(sector: number, count: number, unmap: boolean): Promise<void> {
    if (!this.driver.canWriteZeroes) {
      throw new DiskError(`Cannot write zeroes: ${this.name} does not offer it`);
    }
    const flags = unmap ? RANGE_UNMAP : 0;
    await this.#one(
      "write zeroes",
      sector,
      (done) => this.driver.submitRange(REQUEST_TYPE.WRITE_ZEROES, sector, count, flags, done, 0),
    );
  }

  /** What the device calls itself, up to 20 characters. */
  async id(): Promise<string> {
    const block = this.#heap.allocate(ID_SIZE);
    try {
      await this.#transfer(REQUEST_TYPE.GET_ID, 0, block, "get id of");
      const bytes = this.#board.memory.slice(block.address, block.address + ID_SIZE);
      const end = bytes.indexOf(0);
      return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
    } finally {
      this.#release(block);
    }
  }

  /** One request a part, all in flight; settles when all of them came back. */
  async #transfer(type: number, sector: number, block: Block, what: string): Promise<void> {
    const parts: Promise<void>[] = [];
    const step = this.driver.maxData;
    for (let at = 0; at < block.length; at += step) {
      const length = Math.min(step, block.length - at);
      const first = sector + at / SECTOR_SIZE;
      const address = block.address + at;
      parts.push(
        this.#one(what, first, (done) => this.driver.submit(type, first, address, length, done, 0)),
      );
    }
    const failed = (await Promise.allSettled(parts)).find((part) => part.status === "rejected");
    if (failed) throw failed.reason;
  }

  /** A device that is lost may still write what it was given. */
  #release(block: Block): void {
    if (!this.driver.lost) this.#heap.release(block);
  }

  async #one(
    what: string,
    sector: number,
    submit: (done: (status: number) => void) => boolean,
  ): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<number>();
    while (!submit(resolve)) {
      await new Promise<void>((wake) => this.#waiting.push(wake));
    }
    this.driver.kick();
    const status = await promise;
    if (succeeded(status)) return;
    const why = status === STATUS_LOST
      ? "the device is gone"
      : status === STATUS.UNSUPP
      ? "not supported"
      : "I/O error";
    throw new DiskError(`Cannot ${what} ${this.name} at sector ${sector}: ${why}`);
  }
}
