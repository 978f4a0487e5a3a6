/**
 * Takes chains out of one queue, in turns, and gives them back.
 *
 * Three things can hold a queue up, and each ends by an event, never by polling: the link is full (`onWritable`), the
 * handler cannot take the chain now ({@linkcode ChainPump.resume}), or the turn's budget is spent (the next macrotask).
 * The budget has a time, too: a disk that keeps the process for 200 ms a request must not keep it for 64 requests, or
 * the peer waits in vain for a sign of life.
 * Whatever is given back in one turn is published once; or, where the driver waits for it and nobody else has turns, in
 * parts of some chains, so that it takes the first while the others are served. Between the turns of many there is enough
 * that goes on at the same time, and a part is a system call more.
 *
 * Invariant: a chain that was popped is either given back, held by the handler, or the pump's one held chain.
 *
 * **Budget:** 0.2 us a chain (tests/bench/README.md, "Budgets").
 *
 * @module
 */
import { clearImmediate, setImmediate } from "node:timers";
import type { DescriptorChain, DeviceQueue, DeviceSession } from "../driver/virtio_device.ts";

/**
 * What one turn may take before the other devices have theirs; what it answers leaves at its end, while the next one is
 * served. Smaller turns cost more system calls than they overlap.
 */
const TURN_CHAINS = 64;
const TURN_BYTES = 512 * 1024;
const TURN_MS = 50;

/**
 * True: the chain is taken care of. False: it cannot be now; the pump keeps it and offers it again after `resume()`.
 * A throw fails the device.
 */
export type ChainHandler = (chain: DescriptorChain) => boolean;

type State = "idle" | "running" | "blocked" | "full" | "yielded" | "late" | "stopped";

export interface ChainPumpOptions {
  /** Chains of a turn after which those given back leave, and again after as many, while no other pump has turns. */
  readonly early?: number;
}

/** The pump that had the last turn of all in this process. */
let served: ChainPump | undefined;

export class ChainPump {
  readonly #session: DeviceSession;
  readonly #queue: DeviceQueue;
  readonly #handle: ChainHandler;
  readonly #early: number;
  #state: State = "idle";
  #held: DescriptorChain | undefined;
  #resumed = false;
  #unpublished = false;
  #immediate: ReturnType<typeof setImmediate> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    session: DeviceSession,
    queue: DeviceQueue,
    handle: ChainHandler,
    { early = Infinity }: ChainPumpOptions = {},
  ) {
    this.#session = session;
    this.#queue = queue;
    this.#handle = handle;
    this.#early = early;
  }

  /** There may be chains. */
  kick(): void {
    if (this.#state === "idle") this.#turn();
  }

  /** What made the handler return false is over. */
  resume(): void {
    if (this.#state === "blocked") this.#turn();
    else if (this.#state === "running") this.#resumed = true;
  }

  /** Gives `chain` back; `written` counts device-written bytes from its start (virtio 1.3 §2.7.8.2). */
  give(chain: DescriptorChain, written: number): void {
    if (this.#state === "stopped") return;
    this.#queue.push(chain, written);
    if (this.#unpublished) return;
    this.#unpublished = true;
    if (this.#state !== "running") queueMicrotask(this.#publish);
  }

  /** No chain is touched after this. */
  stop(): void {
    this.#state = "stopped";
    this.#held = undefined;
    if (served === this) served = undefined;
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
  }

  /** Stops, and marks the device broken for its driver. */
  fail(error: unknown): void {
    if (this.#state === "stopped") return;
    this.stop();
    this.#session.fail(error);
  }

  readonly #publish = (): void => {
    if (this.#state === "stopped" || !this.#unpublished) return;
    this.#unpublished = false;
    this.#queue.publish();
  };

  #turn(): void {
    this.#state = "running";
    const alone = served === this;
    served = this;
    let next: State;
    try {
      next = this.#take(alone ? this.#early : Infinity);
    } catch (error) {
      // What was done before the bad chain is done.
      this.#publish();
      this.fail(error);
      return;
    }
    if (this.#stopped()) return;
    this.#publish();
    this.#state = next;
    if (next === "full") this.#session.onWritable(() => this.#continue("full"));
    if (next === "yielded") this.#immediate = setImmediate(() => this.#continue("yielded"));
    // While there are immediates Deno looks at sockets in every 61st turn only; that is no time for slow ones.
    if (next === "late") this.#timer = setTimeout(() => this.#continue("late"), 0);
  }

  #continue(from: State): void {
    if (this.#state === from) this.#turn();
  }

  /** A method, because a handler may stop the pump while the compiler still believes it runs. */
  #stopped(): boolean {
    return this.#state === "stopped";
  }

  /** Not waiting for the end of the turn. */
  #publishNow(): void {
    this.#publish();
    this.#session.flush();
  }

  /** @param part chains after which what was given back leaves */
  #take(part: number): State {
    let bytes = TURN_BYTES;
    let early = part;
    const end = Date.now() + TURN_MS;
    for (let chains = TURN_CHAINS; chains > 0 && bytes > 0; chains--) {
      if (!this.#session.writable) return "full";
      const chain = this.#held ?? this.#queue.pop();
      if (chain === undefined) return "idle";
      this.#held = chain;
      this.#resumed = false;
      const taken = this.#handle(chain);
      if (this.#stopped()) return "stopped";
      if (taken) {
        this.#held = undefined;
        bytes -= chain.readableLength + chain.writableLength;
        if (Date.now() > end) return "late";
        if (--early === 0) {
          this.#publishNow();
          early = part;
        }
      } else if (!this.#resumed) {
        return "blocked";
      }
    }
    return "yielded";
  }
}
