/**
 * A viewer of a console at the other end of a WebSocket: `ctl console`, a browser.
 *
 *     binary, either way         bytes of the console
 *     {"notice": "..."}          to the viewer: what is not the card's to say
 *     {"resize": {"columns", "rows"}}   from the viewer: its terminal has this size
 *     {"takeover": true}         from the viewer: it wants the keyboard, whoever has it
 *
 * Anything else closes the connection. What the viewer does not read in time it loses, with a mark in its place; what it
 * types faster than the card takes is dropped beyond 64 KiB, with a notice.
 *
 * Invariant: no more is held for a viewer that reads nothing than CAPACITY, AHEAD and one CHUNK; of one that types
 * without end, no more than MAX_INPUT.
 *
 * @module
 */
import { OutputBacklog } from "../backends/output_backlog.ts";
import type { ConsoleBackend, ConsoleEvents } from "../backends/types.ts";
import type { AttachOptions, ConsoleHub, Seat } from "./hub.ts";
import { SCROLLBACK } from "./scrollback.ts";

/** Bytes kept for the viewer: all of the scrollback, and what comes while it is sent. */
const CAPACITY = SCROLLBACK + 64 * 1024;
/** Bytes given to the socket before it has sent the ones before. */
const AHEAD = 256 * 1024;
const CHUNK = 32 * 1024;
/** A socket does not tell when it has sent something; so it is looked at again after this time, ms. */
const LOOK_AGAIN = 10;
/** Bytes typed that the card has not taken. */
const MAX_INPUT = 64 * 1024;
/** Codes of RFC 6455 §7.4.1. */
const GOING_AWAY = 1001;
const UNSUPPORTED = 1003;
const TRY_AGAIN_LATER = 1013;

/** What is needed of a WebSocket: the server's end of one, not open yet. */
type Socket = Pick<
  WebSocket,
  "binaryType" | "readyState" | "bufferedAmount" | "send" | "close" | "addEventListener"
>;

interface Words {
  readonly resize?: { readonly columns: number; readonly rows: number };
  readonly takeover?: true;
}

export class SocketViewer implements ConsoleBackend {
  readonly name: string;
  size: { readonly columns: number; readonly rows: number } | undefined;
  readonly #socket: Socket;
  readonly #backlog = new OutputBacklog(() => this.#send(), { capacity: CAPACITY });
  readonly #chunk = new Uint8Array(CHUNK);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #events: ConsoleEvents | undefined;
  #seat: Seat | undefined;
  #input = new Uint8Array(0);
  #inputLost = false;
  readonly #closed = Promise.withResolvers<void>();

  /** Seats itself at `hub` when `socket` opens, and leaves when it closes. `name` is who others are told it is. */
  constructor(socket: Socket, hub: ConsoleHub, options: AttachOptions & { readonly name: string }) {
    this.name = options.name;
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    this.#backlog.attach();
    socket.addEventListener("open", () => this.#sit(hub, options));
    socket.addEventListener("message", ({ data }: MessageEvent) => this.#hear(data));
    // What goes wrong with a connection closes it.
    socket.addEventListener("error", () => this.#leave());
    socket.addEventListener("close", () => this.#leave());
  }

  write(bytes: Uint8Array): void | Promise<void> {
    return this.#backlog.write(bytes);
  }

  open(events: ConsoleEvents): void {
    this.#events = events;
  }

  resume(): void {
    const input = this.#input;
    this.#input = new Uint8Array(0);
    this.#inputLost = false;
    if (input.length > 0) this.#type(input);
  }

  paced(on: boolean): void {
    this.#backlog.paced = on;
  }

  notice(text: string): void {
    if (this.#isOpen) this.#socket.send(JSON.stringify({ notice: text }));
  }

  /** Resolves when the connection is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#close(GOING_AWAY, "The host has stopped");
    await this.#closed.promise;
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  #sit(hub: ConsoleHub, options: AttachOptions): void {
    try {
      this.#seat = hub.attach(this, options);
    } catch (error) {
      this.#close(TRY_AGAIN_LATER, (error as Error).message);
    }
  }

  #leave(): void {
    this.#seat?.[Symbol.dispose]();
    this.#seat = undefined;
    this.#backlog[Symbol.dispose]();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#closed.resolve();
  }

  /** At most 123 bytes of reason (RFC 6455 §5.5). */
  #close(code: number, reason: string): void {
    if (this.#socket.readyState <= WebSocket.OPEN) this.#socket.close(code, reason.slice(0, 120));
  }

  #send(): void {
    if (this.#timer !== undefined) return;
    while (this.#isOpen) {
      if (this.#socket.bufferedAmount >= AHEAD) {
        this.#timer = setTimeout(() => {
          this.#timer = undefined;
          this.#send();
        }, LOOK_AGAIN);
        return;
      }
      const count = this.#backlog.take(this.#chunk);
      if (count === 0) return;
      this.#socket.send(this.#chunk.slice(0, count));
    }
  }

  #hear(data: unknown): void {
    if (data instanceof ArrayBuffer) return this.#type(new Uint8Array(data));
    const words = typeof data === "string" ? wordsOf(data) : undefined;
    if (words?.resize) {
      this.size = words.resize;
      this.#events?.resized(words.resize.columns, words.resize.rows);
    } else if (words?.takeover) this.#seat?.takeOver();
    else this.#close(UNSUPPORTED, 'Wanted {"resize": {"columns", "rows"}} or {"takeover": true}');
  }

  #type(bytes: Uint8Array): void {
    const waiting = this.#input.length;
    const taken = waiting > 0 ? 0 : this.#events?.input(bytes) ?? bytes.length;
    const rest = bytes.subarray(taken);
    if (rest.length === 0) return;
    const kept = rest.subarray(0, MAX_INPUT - waiting);
    const input = new Uint8Array(waiting + kept.length);
    input.set(this.#input);
    input.set(kept, waiting);
    this.#input = input;
    if (kept.length === rest.length || this.#inputLost) return;
    this.#inputLost = true;
    this.notice("the card takes no input now: what is typed is lost");
  }
}

/** Undefined for what is none of them. */
function wordsOf(text: string): Words | undefined {
  try {
    const value = JSON.parse(text);
    if (value?.takeover === true) return { takeover: true };
    const { columns, rows } = value?.resize ?? {};
    const fits = [columns, rows].every((n) => Number.isInteger(n) && n > 0 && n <= 0xffff);
    return fits ? { resize: { columns, rows } } : undefined;
  } catch {
    return undefined;
  }
}
