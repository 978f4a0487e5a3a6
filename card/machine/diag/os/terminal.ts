/**
 * The shell on a console port: prompt, echo, backspace, Ctrl-C, Ctrl-U. Input that comes while a command runs is kept
 * for after it, up to a limit.
 *
 * @module
 */
import type { CommandIo } from "./commands/types.ts";
import type { ConsolePort } from "./console_port.ts";
import type { DiagOs } from "./os.ts";
import { runLine } from "./shell.ts";

export const PROMPT = "diag# ";
/** Characters of a line, and lines typed ahead, at most; what is above is dropped. */
const LINE_MAX = 4096;
const TYPED_AHEAD_MAX = 64;

export class Terminal {
  readonly #port: ConsolePort;
  readonly #os: DiagOs;
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();
  #line: string[] = [];
  /** Inside an escape sequence, which is dropped: there is no cursor to move. */
  #escape: "" | "start" | "sequence" = "";
  #afterReturn = false;
  readonly #lines: string[] = [];
  #running: AbortController | undefined;

  constructor(port: ConsolePort, os: DiagOs) {
    this.#port = port;
    this.#os = os;
    port.open((bytes) => {
      for (const char of this.#decoder.decode(bytes, { stream: true })) this.#key(char);
    });
  }

  /** Prints `banner` and the first prompt. */
  start(banner: string): void {
    this.#print(banner + PROMPT);
  }

  #key(char: string): void {
    if (this.#escape) {
      // ESC, one character; or ESC [ parameters, a letter or ~.
      const first = this.#escape === "start";
      if (first && char === "[") this.#escape = "sequence";
      else if (first || /[A-Za-z~]/.test(char)) this.#escape = "";
      return;
    }
    const afterReturn = this.#afterReturn;
    this.#afterReturn = char === "\r";
    if (char === "\n" && afterReturn) return;
    if (char === "\r" || char === "\n") return this.#enter();
    if (char === "\x03") return this.#interrupt();
    if (char === "\x1b") this.#escape = "start";
    else if (char === "\x7f" || char === "\b") this.#erase(1);
    else if (char === "\x15") this.#erase(this.#line.length);
    else if (char >= " " && this.#line.length < LINE_MAX) {
      this.#line.push(char);
      if (!this.#running) this.#print(char);
    }
  }

  #erase(count: number): void {
    const erased = Math.min(count, this.#line.length);
    this.#line.length -= erased;
    if (!this.#running) this.#print("\b \b".repeat(erased));
  }

  #enter(): void {
    const line = this.#line.join("");
    this.#line = [];
    if (this.#lines.length < TYPED_AHEAD_MAX) this.#lines.push(line);
    if (this.#running) return;
    this.#print("\n");
    this.#runNext();
  }

  #interrupt(): void {
    this.#line = [];
    this.#lines.length = 0;
    if (this.#running) this.#running.abort(new Error("interrupted"));
    else this.#print("^C\n" + PROMPT);
  }

  #runNext(): void {
    const line = this.#lines.shift();
    if (line === undefined) return;
    const running = this.#running = new AbortController();
    const io: CommandIo = {
      out: (data) => this.#write(data),
      err: (data) => this.#write(data),
      signal: AbortSignal.any([running.signal, this.#os.signal]),
      columns: this.#port.columns,
      rows: this.#port.rows,
    };
    this.#os.run(async () => {
      await runLine(line, io, this.#os);
      this.#running = undefined;
      const next = this.#lines[0];
      this.#print(PROMPT + (next === undefined ? this.#line.join("") : `${next}\n`));
      this.#runNext();
    });
  }

  /** Output of a command: a terminal wants a carriage return too. */
  #write(data: string | Uint8Array): Promise<void> {
    if (typeof data !== "string") return this.#port.write(data);
    return this.#port.write(this.#encoder.encode(data.replaceAll("\n", "\r\n")));
  }

  /** Echo and prompts: nobody waits for them. */
  #print(text: string): void {
    this.#os.run(() => this.#write(text));
  }
}
