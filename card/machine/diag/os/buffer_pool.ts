/**
 * Buffers of equal size that travel one queue of a stream-like device: console ports, network frames.
 *
 * @module
 */
import type { DriverQueue } from "../../../../protocol/mod.ts";
import type { Heap } from "./heap.ts";

/** Buffers of equal size for one queue; all have one segment. */
export class BufferPool {
  readonly queue: DriverQueue;
  readonly size: number;
  readonly #idle: number[] = [];
  readonly #byHead: number[] = [];

  constructor(heap: Heap, queue: DriverQueue, count: number, size: number) {
    this.queue = queue;
    this.size = size;
    const buffers = Math.min(count, queue.size);
    const area = heap.allocate(buffers * size, 16).address;
    for (let i = buffers - 1; i >= 0; i--) this.#idle.push(area + i * size);
  }

  /** A free buffer to fill and {@linkcode send}; undefined while all are out. */
  claim(): number | undefined {
    return this.#idle.pop();
  }

  /** Address of the buffer that went out as chain `head`. */
  address(head: number): number {
    return this.#byHead[head]!;
  }

  /** Adds a claimed buffer as device-readable. */
  send(address: number, length: number): void {
    this.#byHead[this.queue.add([{ address, length }])] = address;
  }

  /** Takes a used chain's buffer back. */
  recycle(head: number): void {
    this.#idle.push(this.#byHead[head]!);
  }

  /** Adds one free buffer as device-writable. */
  offer(): void {
    const address = this.#idle.pop();
    if (address === undefined) return;
    this.#byHead[this.queue.add([], [{ address, length: this.size }])] = address;
  }

  offerAll(): void {
    while (this.#idle.length > 0) this.offer();
  }
}
