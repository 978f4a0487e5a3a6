/**
 * One port of the console driver: bytes in, bytes out, a size.
 *
 * @module
 */
import type { DriverQueue, UsedChain } from "../../../../protocol/mod.ts";
import type { Board } from "../board.ts";
import { BufferPool } from "./buffer_pool.ts";
import type { Heap } from "./heap.ts";

const RECEIVE_BUFFERS = 8;
const RECEIVE_SIZE = 4096;
const TRANSMIT_BUFFERS = 8;
const TRANSMIT_SIZE = 32_768;

export interface PortOptions {
  readonly id: number;
  readonly board: Board;
  readonly heap: Heap;
  readonly receive: DriverQueue;
  readonly transmit: DriverQueue;
  kickReceive(): void;
  kickTransmit(): void;
  /** The OS opened the port. */
  opened(): void;
}

export class ConsolePort {
  readonly id: number;
  /** Empty until the device says it. */
  name = "";
  console = false;
  /** Somebody has the port open on the host. */
  peerOpen = false;
  columns = 0;
  rows = 0;
  onResize: () => void = () => {};
  readonly #options: PortOptions;
  #in: BufferPool | undefined;
  #out: BufferPool | undefined;
  #receive: ((bytes: Uint8Array) => void) | undefined;
  #roomWanted: (() => void)[] = [];
  #closed: Error | undefined;
  #lastWrite: Promise<void> = Promise.resolve();
  readonly #used: UsedChain = { head: 0, written: 0 };

  constructor(options: PortOptions) {
    this.id = options.id;
    this.#options = options;
  }

  /** Opens the port for the OS. `receive` gets each piece of input, a copy of its own. */
  open(receive: (bytes: Uint8Array) => void): void {
    if (this.#receive) throw new TypeError(`Cannot open console port ${this.id}: it is open`);
    const { heap, receive: input, transmit } = this.#options;
    this.#receive = receive;
    this.#in = new BufferPool(heap, input, RECEIVE_BUFFERS, RECEIVE_SIZE);
    this.#out = new BufferPool(heap, transmit, TRANSMIT_BUFFERS, TRANSMIT_SIZE);
    this.#out.queue.ignoreUsed();
    this.#in.offerAll();
    this.#options.kickReceive();
    this.#options.opened();
  }

  /** Resolves when all of `bytes` is with the device; writes keep their order. Rejects when the port is gone. */
  write(bytes: Uint8Array): Promise<void> {
    const turn = this.#lastWrite.then(() => this.#write(bytes));
    this.#lastWrite = turn.catch(() => {});
    return turn;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const out = this.#out;
    if (!out) throw new TypeError(`Cannot write to console port ${this.id}: it is not open`);
    for (let at = 0; at < bytes.length; at += TRANSMIT_SIZE) {
      const piece = bytes.subarray(at, at + TRANSMIT_SIZE);
      let address: number | undefined;
      for (;;) {
        if (this.#closed) throw this.#closed;
        this.#reclaim();
        address = out.claim();
        if (address !== undefined) break;
        await this.#room();
      }
      this.#options.board.memory.set(piece, address);
      out.send(address, piece.length);
      this.#options.kickTransmit();
    }
  }

  resize(columns: number, rows: number): void {
    this.columns = columns;
    this.rows = rows;
    this.onResize();
  }

  /** Interrupt: something came, or there is room. */
  used(): void {
    const pool = this.#in;
    if (!pool || this.#closed) return;
    do {
      while (pool.queue.popUsed(this.#used)) {
        const { head, written } = this.#used;
        const at = pool.address(head);
        const bytes = this.#options.board.memory.slice(at, at + written);
        pool.recycle(head);
        pool.offer();
        if (bytes.length > 0) this.#receive!(bytes);
      }
    } while (!pool.queue.awaitUsed());
    this.#options.kickReceive();
    if (this.#roomWanted.length > 0) {
      for (const wake of this.#roomWanted.splice(0)) wake();
    }
  }

  /** The device is gone: whoever waits for room hears `error`. */
  close(error: Error): void {
    this.#closed ??= error;
    for (const wake of this.#roomWanted.splice(0)) wake();
  }

  #reclaim(): void {
    const out = this.#out!;
    while (out.queue.popUsed(this.#used)) out.recycle(this.#used.head);
  }

  /** Resolves at the next interrupt after some output was taken. */
  #room(): Promise<void> {
    return new Promise((wake) => {
      this.#roomWanted.push(wake);
      // Came in between: no interrupt will tell.
      if (!this.#out!.queue.awaitUsed()) wake();
    });
  }
}
