/**
 * Runs commands in the card OS, one at a time, over three console ports (the protocol is in `protocol/exec.ts`).
 *
 * Output passes on as it comes; the trailer that ends it is taken off (`exec_trailer.ts`). A command is over when the
 * trailers of both outputs came; only then the next one is sent. One that its caller gave up goes on in the card: its
 * output is dropped, and the next one waits for its end.
 *
 * A card OS that opens the port anew, because it or its exec service was started again, knows nothing of a command that
 * it had taken: that one fails, and the next one has its turn.
 *
 * A card OS that was adopted may still run a command of the host before. That one goes on to its end, unheard: a command
 * that sets the clock is sent first, and what comes before its trailers is dropped.
 *
 * @module
 */
import {
  BackendError,
  encodeExecRequest,
  EXEC_BREAK,
  EXEC_FIRST,
  EXEC_PORT,
  execNonce,
} from "../../protocol/mod.ts";
import type { ConsoleBackend, ConsoleEvents } from "../backends/types.ts";
import type { PortOptions } from "../devices/console.ts";
import { TrailerFinder } from "./exec_trailer.ts";

/** Where output goes; the card waits while a promise is pending. Owns the bytes until then. */
export type ExecWriter = (bytes: Uint8Array) => void | Promise<void>;

export interface ExecOptions {
  readonly stdout: ExecWriter;
  readonly stderr: ExecWriter;
  /** Gives the command up: `run` rejects with its reason. */
  readonly signal?: AbortSignal;
}

interface Run {
  readonly nonce: string;
  readonly line: Uint8Array;
  readonly out: TrailerFinder;
  readonly err: TrailerFinder;
  readonly stdout: ExecWriter;
  readonly stderr: ExecWriter;
  /** Settles what `run` returned; later calls do nothing. */
  readonly settle: (outcome: number | { readonly error: unknown }) => void;
  /** Its caller does not wait any more. */
  abandoned: boolean;
  /** Writers that have not taken their bytes yet. */
  writing: number;
  /** Nobody's command: its end is the end of all that earlier hosts began. */
  readonly synchronises: boolean;
}

export class ExecChannel {
  /** What a console port each is bound to. */
  readonly in: ConsoleBackend;
  readonly out: ConsoleBackend;
  readonly err: ConsoleBackend;
  /** The card OS takes commands from now on. */
  onOpen: (() => void) | undefined;
  readonly #waiting: Run[] = [];
  #current: Run | undefined;
  /** Rest of the request line that the card has not taken yet. */
  #unsent: Uint8Array = new Uint8Array(0);
  #events: ConsoleEvents | undefined;
  #open = false;

  constructor() {
    this.in = {
      ...backend("in"),
      write: () => {},
      open: (events) => {
        this.#events = events;
      },
      resume: () => this.#send(),
      opened: (open, assumed) => {
        this.#open = open;
        if (open) this.#startOver(assumed);
        this.#next();
        if (open) this.onOpen?.();
      },
    };
    this.out = { ...backend("out"), write: (bytes) => this.#output("out", bytes) };
    this.err = { ...backend("err"), write: (bytes) => this.#output("err", bytes) };
  }

  /** What keeps commands waiting: a card OS that takes none yet, or one that works on a command of an earlier host. */
  get waitsFor(): "card" | "earlier-command" | undefined {
    if (!this.#open) return "card";
    return this.#current?.synchronises ? "earlier-command" : undefined;
  }

  /** The ports to give to the card's console device. */
  get ports(): PortOptions[] {
    return (["in", "out", "err"] as const).map((which) => {
      return { name: EXEC_PORT[which], backend: this[which] };
    });
  }

  /**
   * Runs `command` with the card OS's shell as soon as the card is ready and earlier commands are over. Resolves to
   * its exit status when both outputs are complete. What a writer throws rejects it.
   *
   * @throws {RangeError} if the command is too long for a request
   */
  run(command: string, { stdout, stderr, signal }: ExecOptions): Promise<number> {
    signal?.throwIfAborted();
    const nonce = execNonce();
    const line = encodeExecRequest({ nonce, command });
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const run: Run = {
      nonce,
      line,
      out: new TrailerFinder(nonce),
      err: new TrailerFinder(nonce),
      stdout,
      stderr,
      settle: (outcome) => {
        signal?.removeEventListener("abort", giveUp);
        run.abandoned = true;
        if (typeof outcome === "number") resolve(outcome);
        else reject(outcome.error);
      },
      abandoned: false,
      writing: 0,
      synchronises: false,
    };
    const giveUp = (): void => {
      run.settle({ error: signal!.reason });
      const place = this.#waiting.indexOf(run);
      if (place >= 0) this.#waiting.splice(place, 1);
    };
    signal?.addEventListener("abort", giveUp);
    this.#waiting.push(run);
    this.#next();
    return promise;
  }

  /** The card OS stopped: everything that runs or waits rejects with `error`, and the channel starts afresh. */
  fail(error: unknown): void {
    const runs = this.#current === undefined ? this.#waiting : [this.#current, ...this.#waiting];
    this.#current = undefined;
    this.#unsent = new Uint8Array(0);
    for (const run of runs.slice()) run.settle({ error });
    this.#waiting.length = 0;
  }

  #next(): void {
    if (!this.#open) return;
    if (this.#current === undefined) {
      const run = this.#waiting.shift();
      if (run === undefined) return;
      this.#current = run;
      this.#unsent = run.line;
    }
    this.#send();
  }

  /** The card has just opened the port: what was sent to it before is lost. If that is assumed, it may not be. */
  #startOver(assumed: boolean): void {
    const run = this.#current;
    const untouched = this.#unsent.length === run?.line.length && !run.abandoned;
    if (run !== undefined && !untouched) {
      this.#current = undefined;
      this.#unsent = new Uint8Array(0);
      const text = "Cannot tell the end of the command: the card OS started anew meanwhile";
      run.settle({ error: new BackendError(text) });
    }
    if (!assumed && !run?.synchronises) return;
    if (this.#current !== undefined) this.#waiting.unshift(this.#current);
    this.#current = synchronisation();
    this.#unsent = this.#current.line;
  }

  #send(): void {
    if (this.#unsent.length === 0 || this.#events === undefined) return;
    const taken = this.#events.input(this.#unsent);
    this.#unsent = this.#unsent.subarray(taken);
  }

  #output(which: "out" | "err", bytes: Uint8Array): void | Promise<void> {
    const run = this.#current;
    if (run === undefined) return;
    const output = run[which].push(bytes);
    if (output.length === 0 || run.abandoned) return this.#perhapsOver(run);
    try {
      const done = (which === "out" ? run.stdout : run.stderr)(output);
      if (done !== undefined) return this.#written(run, done);
    } catch (error) {
      run.settle({ error });
    }
    this.#perhapsOver(run);
  }

  async #written(run: Run, done: Promise<void>): Promise<void> {
    run.writing++;
    try {
      await done;
    } catch (error) {
      run.settle({ error });
    }
    run.writing--;
    this.#perhapsOver(run);
  }

  #perhapsOver(run: Run): void {
    if (run !== this.#current || run.writing > 0) return;
    const status = run.out.status;
    if (status === undefined || run.err.status === undefined) return;
    run.settle(status);
    this.#current = undefined;
    this.#next();
  }
}

/** The first command to a card OS that runs, and before it an end to whatever was begun. */
function synchronisation(): Run {
  const nonce = execNonce();
  const request = encodeExecRequest({ nonce, command: EXEC_FIRST });
  return {
    nonce,
    line: Uint8Array.from([...new TextEncoder().encode(EXEC_BREAK), ...request]),
    out: new TrailerFinder(nonce),
    err: new TrailerFinder(nonce),
    stdout: () => {},
    stderr: () => {},
    settle: () => {},
    abandoned: true,
    writing: 0,
    synchronises: true,
  };
}

/** What the three backends have in common: no terminal, nothing to close, and nothing to read. */
function backend(which: keyof typeof EXEC_PORT): Omit<ConsoleBackend, "write"> {
  return {
    name: EXEC_PORT[which],
    size: undefined,
    open() {},
    resume() {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
