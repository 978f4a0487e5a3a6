/**
 * This terminal at the end of a card's console: raw, so that keys reach the card as they are typed; Ctrl-] is kept back
 * and leaves. What this terminal does not take in time is lost here, with a mark, and holds up nobody.
 *
 * - **Invariant:** the terminal has its mode back when `attach` has settled.
 *
 * @module
 */
import { OutputBacklog } from "../../host/backends/output_backlog.ts";

/** Ctrl-], as in telnet. */
const ESCAPE = 0x1d;
const CHUNK = 16 * 1024;
/** Bytes that this terminal may be behind. */
const BEHIND = 1024 * 1024;
/** Bytes of input on their way to the host; a pipe is read no further meanwhile. */
const AHEAD = 64 * 1024;
/** A socket does not tell when it has sent something; so it is looked at again after this time, ms. */
const LOOK_AGAIN = 10;
/** Time that standard output gets to take the rest, ms. */
const LAST_WORDS = 1000;

export interface AttachOptions {
  /** Keys and sizes go to the card. */
  readonly types: boolean;
  readonly signal: AbortSignal;
}

/** Why the connection was closed: by Ctrl-] or `signal`, or by the other end. */
export interface Detached {
  readonly left: boolean;
  readonly opened: boolean;
  readonly reason: string;
}

/** Until either end leaves. `socket` is not open yet; it is closed in the end. */
export async function attach(socket: WebSocket, options: AttachOptions): Promise<Detached> {
  const { types, signal } = options;
  let left = false;
  let opened = false;
  const leave = () => {
    left = true;
    socket.close();
  };
  const closed = Promise.withResolvers<string>();
  const output = new Output();
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => output.write(typeof data === "string" ? noticeOf(data) : data);
  socket.onclose = ({ reason }) => closed.resolve(reason);
  const tellSize = () => {
    if (!Deno.stdout.isTerminal() || socket.readyState !== WebSocket.OPEN) return;
    const { columns, rows } = Deno.consoleSize();
    if (columns > 0 && rows > 0) socket.send(JSON.stringify({ resize: { columns, rows } }));
  };
  const terminal = types && Deno.stdin.isTerminal();
  socket.onopen = () => {
    opened = true;
    if (terminal) Deno.stdin.setRaw(true);
    if (!types) return;
    tellSize();
    void passInput(socket, terminal, leave);
  };
  if (types) Deno.addSignalListener("SIGWINCH", tellSize);
  signal.addEventListener("abort", leave);
  try {
    const reason = await closed.promise;
    await output.finish();
    return { left, opened, reason };
  } finally {
    signal.removeEventListener("abort", leave);
    if (types) Deno.removeSignalListener("SIGWINCH", tellSize);
    if (terminal && opened) Deno.stdin.setRaw(false);
  }
}

/** Until standard input ends; that of a pipe may, and what is shown still comes. */
async function passInput(socket: WebSocket, terminal: boolean, leave: () => void): Promise<void> {
  const buffer = new Uint8Array(4096);
  for (;;) {
    const count = await Deno.stdin.read(buffer).catch(() => null);
    if (count === null || socket.readyState !== WebSocket.OPEN) return;
    const typed = buffer.slice(0, count);
    const escape = terminal ? typed.indexOf(ESCAPE) : -1;
    socket.send(escape < 0 ? typed : typed.slice(0, escape));
    if (escape >= 0) return leave();
    while (socket.bufferedAmount > AHEAD) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN));
    }
  }
}

function noticeOf(text: string): Uint8Array {
  const { notice } = JSON.parse(text) as { readonly notice: string };
  return new TextEncoder().encode(`\r\n[knightsbridge: ${notice}]\r\n`);
}

/** Standard output, as fast as it takes. */
class Output {
  readonly #backlog = new OutputBacklog(() => this.#begin(), { capacity: BEHIND });
  readonly #chunk = new Uint8Array(CHUNK);
  #writing: Promise<void> | undefined;

  constructor() {
    this.#backlog.attach();
    this.#backlog.paced = false;
  }

  write(bytes: Uint8Array | ArrayBuffer): void {
    void this.#backlog.write(bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes));
  }

  /** Resolves when all is written, unless nobody reads it. */
  async finish(): Promise<void> {
    const patience = Promise.withResolvers<void>();
    const timer = setTimeout(patience.resolve, LAST_WORDS);
    await Promise.race([this.#writing, patience.promise]);
    clearTimeout(timer);
    this.#backlog[Symbol.dispose]();
  }

  #begin(): void {
    this.#writing ??= this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    // More may come within the call that began this.
    await Promise.resolve();
    for (let count = this.#take(); count > 0; count = this.#take()) {
      for (let at = 0; at < count;) {
        at += await Deno.stdout.write(this.#chunk.subarray(at, count));
      }
    }
    this.#writing = undefined;
  }

  #take(): number {
    return this.#backlog.take(this.#chunk);
  }
}
