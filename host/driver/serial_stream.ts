/**
 * What a card OS writes on its first serial port, as it comes: a piece at a time in the host page, each asked for.
 *
 * The host asks for the next piece when the sink has taken the one before, and no more often than every 8 ms: so a card
 * OS that floods its serial port has 250 KiB a second of link and console, and no memory of the host but one piece. What
 * it says beyond that the card drops, and says how much.
 *
 * Each piece is taken, and the card told so, before it is shown: a host that is killed leaves to the next what it has not
 * taken, and nothing that it has shown.
 *
 * @module
 */
import { pause } from "../../protocol/mod.ts";
import type { HostPage, SerialPiece } from "./host_page.ts";

/** From one request to the next, ms. */
const INTERVAL = 8;
/** Of a card OS that has stopped the next piece is waited for so long, and all of them, ms. */
const PATIENCE = 1000;
const LAST_WORDS = 10_000;
const MAX_LE32 = 0xffff_ffff;

/** Takes serial output. Resolves when there is room for more; must not throw. */
export type SerialSink = (piece: SerialPiece) => void | Promise<void>;

export interface SerialStreamOptions {
  readonly page: HostPage;
  readonly sink: SerialSink;
  /** Writes a request into the card page. */
  ask(request: number): void;
}

/** Of one boot, or of what is left of one after an adoption. */
export class SerialStream implements Disposable {
  /** What is written into the card page before the card OS is started, or adopted. */
  static readonly FIRST = 1;

  readonly #options: SerialStreamOptions;
  readonly #over = new AbortController();
  #request = SerialStream.FIRST;
  #taking = false;
  #pieces = 0;
  #nextAt = 0;
  /** Tells who waits that a piece is taken, or that none is any more. */
  #taken = Promise.withResolvers<void>();

  constructor(options: SerialStreamOptions) {
    this.#options = options;
  }

  /** The card wrote the header of the host page. */
  heard(): void {
    if (this.#taking || this.#over.signal.aborted) return;
    if (this.#options.page.serialPiece === this.#request) void this.#take(this.#over.signal);
  }

  /** Resolves when the card, whose OS has stopped, has no more to say, or says nothing. */
  async drained(): Promise<void> {
    const { signal } = this.#over;
    const end = performance.now() + LAST_WORDS;
    while (this.#expected && performance.now() < end && !signal.aborted) {
      const before = this.#pieces;
      const patience = new AbortController();
      await Promise.race([this.#taken.promise, pause(PATIENCE, patience.signal)]);
      patience.abort();
      if (this.#pieces === before) return;
    }
  }

  /** Nothing more is asked for, or taken. */
  [Symbol.dispose](): void {
    this.#over.abort();
    this.#taken.resolve();
  }

  get #expected(): boolean {
    return this.#taking || this.#options.page.serialWaiting > 0;
  }

  async #take(over: AbortSignal): Promise<void> {
    const { page, sink, ask } = this.#options;
    this.#taking = true;
    const early = this.#nextAt - performance.now();
    if (early > 0) await pause(early, over);
    if (over.aborted) return;
    // The card leaves it as it is until the next request.
    const { serial } = page;
    this.#request = this.#request === MAX_LE32 ? 1 : this.#request + 1;
    this.#nextAt = performance.now() + INTERVAL;
    ask(this.#request);
    const done = sink(serial);
    if (done) await done;
    this.#taking = false;
    this.#pieces++;
    this.#taken.resolve();
    this.#taken = Promise.withResolvers();
    this.heard();
  }
}
