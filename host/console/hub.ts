/**
 * A card's console as everybody sees it: one port of the card on one side, any number of viewers on the other, and what
 * was shown last kept for those who come later.
 *
 *     console device ── port 0 ──┐     ┌─ viewer: the host's terminal, a pseudoterminal, a log file, ...
 *                               hub ───┼─ viewer: a socket's client
 *     first serial port, lines ──┘     └─ viewer: ctl, a WebSocket
 *
 * Output goes to all. The card waits for one viewer only, the one at the keyboard, and for that one no longer than its
 * patience: he who typed `cat FILE` sees all of it, as on a serial line. Any other who reads too slowly loses what he has
 * not read, and is told how much. Input comes from whoever has the keyboard (`keyboard.ts`).
 *
 * Invariant: a viewer cannot hold up the others, nor make the hub hold more than its scrollback.
 *
 * @module
 */
import type { ConsoleBackend, ConsoleEvents } from "../backends/types.ts";
import type { SerialPiece } from "../driver/host_page.ts";
import type { BootLog } from "./boot_log.ts";
import { Keyboard, type KeyboardUse } from "./keyboard.ts";
import { Scrollback } from "./scrollback.ts";
import { SerialLines } from "./serial_lines.ts";

/** Bytes of output after which every viewer gets its turn to read, so that only a slow one is too slow. */
const TURN = 32 * 1024;
/** Viewers of one console. */
export const MAX_VIEWERS = 32;

/**
 * What sees the console, and may type: what a port can be bound to. All are given the same bytes: `write` copies what it
 * keeps. It never rejects.
 */
export type Viewer = ConsoleBackend;

export interface AttachOptions {
  /** How it comes to the keyboard. */
  readonly use: KeyboardUse;
  /** It has the keyboard from the start: `asks` if nobody else has it, `takes` whoever has it. */
  readonly keyboard?: "asks" | "takes";
  /** Bytes of what was shown before that it is given first. */
  readonly scrollback?: number;
}

/** A viewer's place at the console. */
export interface Seat extends Disposable {
  /** It has the keyboard. */
  readonly writes: boolean;
  /** Takes the keyboard, whoever has it; who had it is told. */
  takeOver(): void;
  /** Leaves. The viewer is not closed. */
  [Symbol.dispose](): void;
}

export interface HubOptions {
  /** Of the card. */
  readonly name: string;
  /** Where each boot's output is kept; owned. */
  readonly log?: BootLog;
  /** Bytes. */
  readonly scrollback?: number;
}

interface Size {
  readonly columns: number;
  readonly rows: number;
}

interface Place {
  readonly name: string;
  readonly viewer: Viewer;
  readonly use: KeyboardUse;
  /** It was told that its typing counts for nothing. */
  told: boolean;
}

export class ConsoleHub implements ConsoleBackend {
  readonly #card: string;
  readonly #log: BootLog | undefined;
  readonly #scrollback: Scrollback;
  readonly #places: Place[] = [];
  readonly #serial = new SerialLines((lines) => this.#show(lines));
  readonly #keyboard = new Keyboard<Place>((from, to) => this.#passed(from, to));
  /** Where the serial output that was shown ends, in bytes since the boot, modulo 2^32; undefined if nobody knows. */
  #serialEnd: number | undefined;
  #events: ConsoleEvents | undefined;
  /** What the card was told last. */
  #size: Size | undefined;
  #open = { open: false, assumed: false };
  /** Bytes since the viewers had their turn, and the turn that is being given. */
  #sinceTurn = 0;
  #turn: Promise<void> | undefined;
  #closed = false;

  constructor({ name, log, scrollback }: HubOptions) {
    this.#card = name;
    this.#log = log;
    this.#scrollback = new Scrollback(scrollback);
  }

  /** Of all viewers. */
  get name(): string {
    return this.#places.map(({ name }) => name).join("+") || "none";
  }

  /** Of the viewer at the keyboard, or else the first that has one, or else the last there was. */
  get size(): Size | undefined {
    const sized = this.#places.find(({ viewer }) => viewer.size !== undefined);
    return this.#keyboard.holder?.viewer.size ?? sized?.viewer.size ?? this.#size;
  }

  get viewers(): number {
    return this.#places.length;
  }

  /** Each boot's output; undefined where none is kept. */
  get log(): BootLog | undefined {
    return this.#log;
  }

  /** Name of the viewer that has the keyboard. */
  get writer(): string | undefined {
    return this.#keyboard.holder?.name;
  }

  /**
   * Seats `viewer`, and opens it.
   *
   * @throws {RangeError} if there are MAX_VIEWERS
   */
  attach(viewer: Viewer, { use, keyboard, scrollback = 0 }: AttachOptions): Seat {
    if (this.#places.length >= MAX_VIEWERS) {
      throw new RangeError(
        `Cannot show the console of ${this.#card}: ${MAX_VIEWERS} viewers are at it`,
      );
    }
    const place: Place = { name: viewer.name, viewer, use, told: false };
    viewer.paced?.(false);
    if (scrollback > 0) viewer.write(this.#scrollback.tail(scrollback));
    this.#places.push(place);
    viewer.open({
      input: (bytes) => this.#input(place, bytes),
      resized: () => this.#sizeMayBeOther(),
    });
    if (this.#open.open) viewer.opened?.(true, this.#open.assumed);
    const { holder } = this.#keyboard;
    if (keyboard === "takes" || keyboard === "asks" && !holder) this.#keyboard.take(place);
    else if (keyboard === "asks") this.#tellReadOnly(place);
    this.#sizeMayBeOther();
    const writes = () => this.#keyboard.holder === place;
    return {
      get writes() {
        return writes();
      },
      takeOver: () => {
        if (this.#places.includes(place)) this.#keyboard.take(place);
      },
      [Symbol.dispose]: () => this.#leave(place),
    };
  }

  /** What is shown from now on is boot `number`'s; `resumed`: it ran before this host did. */
  beginBoot(number: number, resumed = false): void {
    const when = new Date().toISOString();
    const what = resumed ? "goes on" : "begins";
    this.#serial.flush();
    this.#scrollback.append(
      encode(`\r\n[knightsbridge: boot ${number} of ${this.#card} ${what}, ${when}]\r\n`),
    );
    if (!resumed) this.#scrollback.beginBoot();
    this.#log?.begin(number);
    // What goes on was begun by a host before, or by this one on another connection.
    if (!resumed) this.#log?.mark(this.#serialEnd = 0);
    else this.#serialEnd ??= this.#log?.markOf(number);
  }

  /** The last `count` bytes shown, of whatever boot; a copy. */
  tail(count?: number): Uint8Array<ArrayBuffer> {
    return this.#scrollback.tail(count);
  }

  /** The last `count` bytes of the boot that runs or ran last; a copy. */
  bootTail(count?: number): Uint8Array<ArrayBuffer> {
    return this.#scrollback.bootTail(count);
  }

  write(bytes: Uint8Array): void | Promise<void> {
    return this.#show(this.#serial.passing(bytes));
  }

  /**
   * What the card OS wrote on its first serial port: shown as lines. What is missing is told; of a piece that comes again,
   * because its card was not told that it was taken, what was shown is left out.
   */
  serial({ bytes, position }: SerialPiece): void | Promise<void> {
    if (this.#closed) return;
    const missing = this.#serialEnd === undefined ? 0 : (position - this.#serialEnd) | 0;
    const again = missing < 0 && -missing <= bytes.length ? -missing : 0;
    const end = this.#serialEnd = (position + bytes.length) >>> 0;
    const done = this.#serial.add(bytes.subarray(again), Math.max(0, missing));
    if (done) return done.then(() => this.#log?.mark(end));
    this.#log?.mark(end);
  }

  #show(bytes: Uint8Array): void | Promise<void> {
    if (this.#closed) return;
    this.#scrollback.append(bytes);
    this.#log?.write(bytes);
    const { holder } = this.#keyboard;
    let wait: void | Promise<void> = undefined;
    for (const place of this.#places) {
      const done = place.viewer.write(bytes);
      if (place === holder) wait = done;
    }
    this.#sinceTurn += bytes.length;
    return wait ?? this.#giveTurn();
  }

  open(events: ConsoleEvents): void {
    this.#events = events;
    this.resume();
  }

  resume(): void {
    for (const { viewer } of this.#places) viewer.resume();
  }

  opened(open: boolean, assumed: boolean): void {
    this.#open = { open, assumed };
    for (const { viewer } of this.#places) viewer.opened?.(open, assumed);
  }

  /** Closes all viewers that are there. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#serial.flush();
    this.#closed = true;
    this.#serial[Symbol.dispose]();
    await using all = new AsyncDisposableStack();
    if (this.#log) all.use(this.#log);
    for (const { viewer } of this.#places) all.use(viewer);
    if (this.#turn) await this.#turn;
  }

  #giveTurn(): void | Promise<void> {
    if (this.#sinceTurn < TURN) return;
    this.#sinceTurn = 0;
    return this.#turn = new Promise((resolve) => setTimeout(resolve));
  }

  #input(place: Place, bytes: Uint8Array): number {
    if (!this.#events) return 0;
    if (this.#keyboard.typed(place)) return this.#events.input(bytes);
    this.#tellReadOnly(place);
    return bytes.length;
  }

  #leave(place: Place): void {
    const at = this.#places.indexOf(place);
    if (at < 0) return;
    this.#places.splice(at, 1);
    this.#keyboard.release(place);
    this.#sizeMayBeOther();
  }

  #passed(from: Place | undefined, to: Place | undefined): void {
    from?.viewer.paced?.(false);
    to?.viewer.paced?.(true);
    // Terminals that share it by typing know.
    if (from && to && (from.use === "asking" || to.use === "asking")) {
      this.#tell(from, `${to.name} has taken the keyboard: this is read only now`);
    }
    if (to) to.told = false;
    this.#sizeMayBeOther();
  }

  /** Once, until the keyboard is another's. */
  #tellReadOnly(place: Place): void {
    if (place.told) return;
    place.told = true;
    const { holder } = this.#keyboard;
    this.#tell(
      place,
      holder ? `read only: ${holder.name} has the keyboard` : "read only",
    );
  }

  #tell({ viewer }: Place, text: string): void {
    if (viewer.notice) viewer.notice(text);
    else void viewer.write(encode(`\r\n[knightsbridge: ${text}]\r\n`));
  }

  #sizeMayBeOther(): void {
    const before = this.#size;
    const { size } = this;
    if (size === undefined) return;
    this.#size = { columns: size.columns, rows: size.rows };
    if (before?.columns === size.columns && before.rows === size.rows) return;
    this.#events?.resized(size.columns, size.rows);
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
