/**
 * Runs the emulated CPU in slices of a millisecond or two, between which the rest of the process lives.
 *
 * It takes the place of the emulator's own loop, for three reasons: that one starves the network while the CPU is busy
 * (`reactor_ping.ts`), spins while it is idle, and lets a fault of the emulator end the process.
 *
 * | after a slice the CPU is | next slice |
 * | --- | --- |
 * | busy | when the operating system was polled |
 * | halted until an interrupt | when its next timer is due, or at once when a device raises one |
 * | stopped, or its emulator failed | none |
 *
 * @module
 */
import type { ReactorPing } from "./reactor_ping.ts";
import type { Runner } from "./v86_types.ts";

/** Milliseconds. A timer due sooner is not worth sleeping for: one cannot sleep for less than 1. */
const SHORT = 0.2;

/** What the scheduler tells; `stopped` or `failed` once, after the last slice. */
export interface SchedulerEvents {
  /** A slice is over; {@linkcode Scheduler.stop} may be called. Comes about 1000 times a second: do little. */
  sliced(): void;
  /** {@linkcode Scheduler.stop} was called. */
  stopped(): void;
  /** The emulator, or a device that the CPU accessed, threw. The CPU's state is lost. */
  failed(error: unknown): void;
}

type State = "new" | "running" | "stopping" | "done";

export class Scheduler implements AsyncDisposable {
  readonly #runner: Runner;
  readonly #ping: ReactorPing;
  readonly #events: SchedulerEvents;
  readonly #slice = () => this.#run();
  #state: State = "new";
  /** Waiting for the ping; then an interrupt needs no further wake-up. */
  #yielding = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #immediate: ReturnType<typeof setImmediate> | undefined;

  constructor(runner: Runner, ping: ReactorPing, events: SchedulerEvents) {
    this.#runner = runner;
    this.#ping = ping;
    this.#events = events;
    // What the emulator calls when an interrupt ends an idle wait, and to begin with.
    runner.next_tick = () => this.#wake();
  }

  start(): void {
    this.#state = "running";
    this.#runner.run();
  }

  /** Ends the run after the current slice; only from within one, or from `sliced`. */
  stop(): void {
    if (this.#state === "running") this.#state = "stopping";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
    await this.#ping[Symbol.asyncDispose]();
  }

  #run(): void {
    this.#timer = this.#immediate = undefined;
    this.#yielding = false;
    if (this.#state !== "running") return;
    this.#runner.idle = false;
    let idleFor: number;
    try {
      idleFor = this.#runner.cpu.main_loop();
    } catch (error) {
      this.#end();
      this.#events.failed(error);
      return;
    }
    this.#events.sliced();
    const state = this.#stateNow();
    if (state === "done") return;
    if (state === "stopping") {
      this.#end();
      this.#events.stopped();
      return;
    }
    this.#runner.idle = true;
    if (idleFor > SHORT) this.#timer = setTimeout(this.#slice, Math.max(1, Math.floor(idleFor)));
    else this.#yield();
  }

  /** A method, for the slice before it changes the answer behind the compiler's back. */
  #stateNow(): State {
    return this.#state;
  }

  #yield(): void {
    this.#yielding = true;
    this.#ping.wait().then(this.#slice, (error) => {
      if (this.#state !== "running") return;
      this.#end();
      this.#events.failed(error);
    });
  }

  /** From idle only; the operating system was polled just now. */
  #wake(): void {
    if (this.#state !== "running" || this.#yielding) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#immediate ??= setImmediate(this.#slice);
  }

  #end(): void {
    if (this.#state === "done") return;
    this.#state = "done";
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
    this.#runner.running = false;
    this.#runner.bus.send("emulator-stopped");
  }
}
