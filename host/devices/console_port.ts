/**
 * One port of a console device: bytes between two queues and a backend (virtio 1.3 §5.3.6).
 *
 * Input is offered to the card only while the card has the port open, and goes as far as there are receive buffers;
 * the rest waits in the backend. Output is given back to the driver when the backend has taken it, one buffer at a
 * time; the backend gets a copy, because a write that hangs must not keep a reset from reusing the queue's memory.
 *
 * @module
 */
import { DriverError } from "../../protocol/mod.ts";
import type { ConsoleBackend } from "../backends/types.ts";
import type { DescriptorChain, DeviceQueue, DeviceSession } from "../driver/virtio_device.ts";
import { ChainPump } from "./chain_pump.ts";

/** Longest buffer of output taken from a driver; common ones send 32 KiB at most. */
const MAX_OUTPUT = 1024 * 1024;
/** Emergency output kept while the backend is busy. */
const MAX_EMERGENCY = 4096;

interface Running {
  readonly session: DeviceSession;
  readonly receive: DeviceQueue;
  readonly pump: ChainPump;
}

export class ConsolePort {
  readonly backend: ConsoleBackend;
  readonly #onError: (error: unknown) => void;
  #running: Running | undefined;
  #open: "no" | "assumed" | "yes" = "no";
  /** Input was refused: the backend waits for `resume`. */
  #starved = false;
  #awaitingLink = false;
  /** A write that the backend has not finished; outlives a session. */
  #busy = false;
  #emergency: number[] = [];
  /** Bytes that the card was given, and bytes that it wrote. */
  inputBytes = 0;
  outputBytes = 0;

  constructor(backend: ConsoleBackend, onError: (error: unknown) => void) {
    this.backend = backend;
    this.#onError = onError;
  }

  start(session: DeviceSession, receive: DeviceQueue, transmit: DeviceQueue): void {
    const pump: ChainPump = new ChainPump(session, transmit, (chain) => {
      return this.#output(pump, session, transmit, chain);
    });
    this.#running = { session, receive, pump };
    pump.kick();
  }

  /** The card opened the port, or closed it; `assumed`: it may have opened it for the host before. */
  setOpen(open: boolean, assumed = false): void {
    const state = !open ? "no" : assumed ? "assumed" : "yes";
    if (state === this.#open) return;
    this.#open = state;
    this.backend.opened?.(open, assumed);
    if (open) this.#wake();
  }

  /** Receive buffers were made available. */
  receiveNotified(): void {
    if (this.#running?.receive.pending) this.#wake();
  }

  /** Output was made available. */
  transmitNotified(): void {
    this.#running?.pump.kick();
  }

  /** No chain is touched after this. */
  stop(): void {
    this.#running?.pump.stop();
    this.#running = undefined;
    // A session that ended calls nobody back.
    this.#awaitingLink = false;
    this.setOpen(false);
  }

  /** Input from the backend: returns how many bytes were taken. */
  input(bytes: Uint8Array): number {
    const running = this.#running;
    let taken = 0;
    if (running !== undefined && this.#open !== "no") {
      try {
        taken = this.#deliver(running, bytes);
      } catch (error) {
        running.pump.fail(error);
      }
    }
    this.#starved = taken < bytes.length;
    return taken;
  }

  /** Emergency write (§5.3.4): one byte, with or without a driver, out of turn. */
  emergencyWrite(byte: number): void {
    if (!this.#busy) this.#write(Uint8Array.of(byte));
    else if (this.#emergency.length < MAX_EMERGENCY) this.#emergency.push(byte);
  }

  #deliver({ session, receive }: Running, bytes: Uint8Array): number {
    if (!session.writable) {
      this.#awaitLink(session);
      return 0;
    }
    let taken = 0;
    while (taken < bytes.length) {
      const chain = receive.pop();
      if (chain === undefined) break;
      if (chain.writableLength === 0) {
        throw new DriverError("request", "Cannot use receive buffer: nothing in it is writable");
      }
      const piece = bytes.subarray(taken, taken + chain.writableLength);
      receive.write(chain, 0, piece);
      receive.push(chain, piece.length);
      taken += piece.length;
    }
    this.inputBytes += taken;
    if (taken > 0) receive.publish();
    return taken;
  }

  #awaitLink(session: DeviceSession): void {
    if (this.#awaitingLink) return;
    this.#awaitingLink = true;
    session.onWritable(() => {
      this.#awaitingLink = false;
      this.#wake();
    });
  }

  #wake(): void {
    if (!this.#starved) return;
    this.#starved = false;
    this.backend.resume();
  }

  #output(
    pump: ChainPump,
    session: DeviceSession,
    queue: DeviceQueue,
    chain: DescriptorChain,
  ): boolean {
    if (this.#busy) return false;
    if (chain.readableLength > MAX_OUTPUT) {
      throw new DriverError(
        "request",
        `Cannot write ${chain.readableLength} bytes to a port: at most ${MAX_OUTPUT}`,
      );
    }
    this.outputBytes += chain.readableLength;
    const bytes = queue.fetch(chain, session.signal);
    const done = bytes instanceof Uint8Array ? this.#write(bytes.slice()) : this.#hold(
      bytes.then((fetched) => this.backend.write(fetched), (cause) => pump.fail(cause)),
      session.signal,
    );
    if (done === undefined) pump.give(chain, 0);
    else void done.then(() => pump.give(chain, 0));
    return true;
  }

  /** Undefined when done at once; the promise never rejects. */
  #write(bytes: Uint8Array): Promise<void> | undefined {
    try {
      const done = this.backend.write(bytes);
      if (done !== undefined) return this.#hold(done);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** Keeps the port busy until `done`; errors are reported, and the output is lost. */
  async #hold(done: Promise<void>, signal?: AbortSignal): Promise<void> {
    this.#busy = true;
    try {
      await done;
    } catch (error) {
      if (signal?.aborted !== true) this.#onError(error);
    }
    this.#busy = false;
    const emergency = this.#emergency;
    this.#emergency = [];
    if (emergency.length > 0) await this.#write(Uint8Array.from(emergency));
    this.#running?.pump.resume();
  }
}
