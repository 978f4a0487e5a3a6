/**
 * Console backend on the host process's own terminal. The terminal is raw while the card has the port open, so keys reach
 * the card as they are typed; Ctrl-] is kept back and leaves. Standard input that is no terminal is passed on byte by byte, Ctrl-] included.
 * Whoever reads too slowly loses output and sees where (`output_backlog.ts`): a terminal that sleeps must not stop the card.
 *
 * Invariant: the terminal gets its mode back when the backend is closed. (When the process exits before that, Deno
 * itself sees to it.)
 *
 * Needs no permission.
 *
 * @module
 */
import { OutputBacklog } from "./output_backlog.ts";
import { InputGate } from "./_input_gate.ts";
import type { ConsoleBackend, ConsoleEvents } from "./types.ts";

/** Ctrl-], as in telnet. */
const ESCAPE = 0x1d;
const CHUNK = 16 * 1024;
/** Time that whoever reads our output gets to take the rest of it when the backend is closed, ms. */
const LAST_WORDS = 1_000;

/** Options of {@linkcode StdioBackend}. */
export interface StdioOptions {
  /** Ctrl-] was typed. The backend goes on; whoever opened it may close it now. */
  readonly detach?: () => void;
}

/** Standard input and output; there is one of it, and closing it closes standard input. */
export class StdioBackend implements ConsoleBackend {
  readonly name = "stdio";
  readonly #terminal = Deno.stdin.isTerminal();
  readonly #detach: (() => void) | undefined;
  readonly #gate = new InputGate();
  readonly #resized = () => {
    const size = this.size;
    if (size !== undefined) this.#gate.resized(size.columns, size.rows);
  };
  #reading: Promise<void> = Promise.resolve();
  readonly #backlog = new OutputBacklog(() => this.#output());
  readonly #chunk = new Uint8Array(CHUNK);
  /** Output is on its way; `#writing` resolves when all of it is written. */
  #busy = false;
  #writing: Promise<void> = Promise.resolve();
  /** The mode that the terminal has, and the one it is to have. */
  #raw = false;
  #wantRaw = false;
  #opened = false;
  #closed = false;
  #outputGone = false;

  constructor(options: StdioOptions = {}) {
    this.#detach = options.detach;
    this.#backlog.attach();
  }

  get size(): { readonly columns: number; readonly rows: number } | undefined {
    if (!Deno.stdout.isTerminal()) return undefined;
    const { columns, rows } = Deno.consoleSize();
    return columns > 0 && rows > 0 ? { columns, rows } : undefined;
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (!this.#outputGone) return this.#backlog.write(bytes);
  }

  #output(): void {
    if (this.#busy) return;
    this.#busy = true;
    this.#writing = this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    try {
      for (let count = this.#take(); count > 0; count = this.#take()) {
        for (let at = 0; at < count;) {
          at += await Deno.stdout.write(this.#chunk.subarray(at, count));
        }
      }
    } catch {
      // Whoever read our output has left; the card goes on without.
      this.#outputGone = true;
      this.#backlog[Symbol.dispose]();
    }
    this.#busy = false;
    this.#setMode();
  }

  #take(): number {
    return this.#outputGone ? 0 : this.#backlog.take(this.#chunk);
  }

  open(events: ConsoleEvents): void {
    this.#opened = true;
    this.#gate.open(events);
    Deno.addSignalListener("SIGWINCH", this.#resized);
    this.#reading = this.#read();
  }

  resume(): void {
    this.#gate.resume();
  }

  paced(on: boolean): void {
    this.#backlog.paced = on;
  }

  /** Raw only while the card reads: before and after, Ctrl-C is for us. */
  opened(open: boolean): void {
    this.#wantRaw = open && !this.#closed;
    this.#setMode();
  }

  /** Not during a write: the kernel would keep us, and the whole event loop, until somebody reads it. */
  #setMode(): void {
    if (!this.#terminal || this.#busy || this.#wantRaw === this.#raw) return;
    this.#raw = this.#wantRaw;
    try {
      Deno.stdin.setRaw(this.#raw);
    } catch {
      // The terminal has hung up: it has no mode any more.
    }
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(4096);
    for (;;) {
      // Closed by us, or a terminal that has hung up: there is no more input.
      const count = await Deno.stdin.read(buffer).catch(() => null);
      if (count === null) return;
      await this.#pass(buffer.subarray(0, count));
    }
  }

  async #pass(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (this.#terminal && rest.includes(ESCAPE)) {
      const at = rest.indexOf(ESCAPE);
      await this.#gate.offer(rest.subarray(0, at));
      this.#detach?.();
      rest = rest.subarray(at + 1);
    }
    await this.#gate.offer(rest);
  }

  /** What was written before is written when it resolves, unless nobody reads it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#lastWords();
    this.#gate[Symbol.dispose]();
    if (!this.#opened) return;
    Deno.removeSignalListener("SIGWINCH", this.#resized);
    this.opened(false);
    Deno.stdin.close();
    await this.#reading;
  }

  async #lastWords(): Promise<void> {
    const patience = Promise.withResolvers<void>();
    const timer = setTimeout(patience.resolve, LAST_WORDS);
    await Promise.race([this.#writing, patience.promise]);
    clearTimeout(timer);
    this.#outputGone = true;
    this.#backlog[Symbol.dispose]();
  }
}
