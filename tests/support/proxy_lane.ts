/**
 * One direction of a connection through a proxy: what is on the way, how long it takes, and whether it arrives at all.
 *
 * @module
 */
import type { Socket } from "node:net";
import { pause } from "../../protocol/link/abortable.ts";

/** Bytes on the way before no more is read: a gigabit for a third of a second. */
const IN_FLIGHT_MAX = 40 * 1024 * 1024;
/** Of a limited rate, what is sent at once, s. */
const RATE_PIECE = 0.001;
/** What was not sent in time may follow at once, so that a timer that is late costs no rate: ms of it at most. */
const RATE_BURST = 10;

export interface LaneOptions {
  /** Time on the way, ms. */
  readonly delay?: number;
  /** Bytes per second: a token bucket of 10 ms. */
  readonly rate?: number;
}

interface Piece {
  /** When it arrives, `performance.now()`. */
  readonly due: number;
  readonly bytes: Uint8Array;
}

export class Lane {
  readonly #from: Socket;
  readonly #options: LaneOptions;
  readonly #forward: (bytes: Uint8Array) => Promise<number>;
  readonly #over: AbortSignal;
  readonly #pieces: Piece[] = [];
  #bytes = 0;
  #ended = false;
  #stalled = false;
  /** When the last of what was forwarded has passed, at a limited rate. */
  #clear = 0;
  #wake: (() => void)[] = [];

  /** `forward` returns how many bytes a cut has left through; nothing more is forwarded once `over` is aborted. */
  constructor(
    from: Socket,
    options: LaneOptions,
    forward: (bytes: Uint8Array) => Promise<number>,
    over: AbortSignal,
  ) {
    this.#from = from;
    this.#options = options;
    this.#forward = forward;
    this.#over = over;
    over.addEventListener("abort", () => this.#changed(), { once: true });
  }

  stall(): void {
    this.#stalled = true;
  }

  release(): void {
    this.#stalled = false;
    this.#changed();
  }

  /** Until the end of the stream has come out at the far end: true, or false if it was cut before. Never rejects. */
  async run(): Promise<boolean> {
    const reading = this.#read();
    try {
      return await this.#carry();
    } catch {
      return false; // the far end takes no more, or the connection was cut
    } finally {
      this.#from.resume(); // whatever still comes is lost
      await reading;
    }
  }

  async #read(): Promise<void> {
    const { delay = 0 } = this.#options;
    const ended = new Promise<void>((resolve) => {
      this.#from.once("end", resolve);
      this.#from.once("close", resolve);
    });
    this.#from.on("data", (bytes: Uint8Array) => {
      if (this.#over.aborted) return;
      this.#pieces.push({ due: performance.now() + delay, bytes });
      this.#bytes += bytes.length;
      if (this.#bytes > IN_FLIGHT_MAX) this.#from.pause();
      this.#changed();
    });
    await ended;
    this.#ended = true;
    this.#changed();
  }

  /** True at the end of the stream, false after a cut. */
  async #carry(): Promise<boolean> {
    for (;;) {
      if (this.#over.aborted) return false;
      const piece = this.#stalled ? undefined : this.#pieces.shift();
      if (piece === undefined) {
        if (this.#ended && !this.#stalled) return true;
        await new Promise<void>((resolve) => this.#wake.push(resolve));
        continue;
      }
      await until(piece.due, this.#over);
      const left = await this.#pass(piece.bytes);
      this.#bytes -= piece.bytes.length - left.length;
      // Stalled within the piece: the rest of it is the first that goes when it is released.
      if (left.length > 0) this.#pieces.unshift({ due: 0, bytes: left });
      if (this.#bytes <= IN_FLIGHT_MAX) this.#from.resume();
    }
  }

  /** Forwards `bytes` no faster than the rate; what is left of them when the lane is stalled or cut. */
  async #pass(bytes: Uint8Array): Promise<Uint8Array> {
    const { rate } = this.#options;
    const size = rate === undefined ? bytes.length : Math.max(1, Math.round(rate * RATE_PIECE));
    let at = 0;
    while (at < bytes.length && !this.#stalled && !this.#over.aborted) {
      const part = bytes.subarray(at, at + size);
      if (rate !== undefined) {
        await until(this.#clear, this.#over);
        const free = Math.max(this.#clear, performance.now() - RATE_BURST);
        this.#clear = free + 1000 * part.length / rate;
      }
      at += await this.#forward(part);
    }
    return bytes.subarray(at);
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}

/** Timers are right to a millisecond and late; the rest is waited for in turns of the event loop. */
async function until(due: number, over: AbortSignal): Promise<void> {
  const left = due - performance.now();
  if (left > 2) await pause(Math.floor(left) - 1, over);
  while (performance.now() < due && !over.aborted) await pause(0, over);
}
