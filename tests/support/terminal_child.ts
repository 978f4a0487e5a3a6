/**
 * A process on a terminal of its own, and whoever sits at it.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { O, openLibc } from "../../host/backends/_libc.ts";
import { PtyBackend } from "../../host/backends/pty.ts";
import { ConsoleProbe } from "./console_probe.ts";

const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TIOCSWINSZ = 0x5414;
/** ISIG, ICANON and ECHO in the fourth word of struct termios. */
const COOKED = 0x1 | 0x2 | 0x8;

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** A process of Deno whose standard input and output are the slave of a pseudoterminal in its usual, cooked mode. */
export class TerminalChild implements AsyncDisposable {
  readonly #libc = openLibc();
  readonly #slave: number;
  readonly #pty = PtyBackend.open();
  readonly #process: Deno.ChildProcess;
  /** What the child shows is read from its first use on. */
  #screen: ConsoleProbe | undefined;
  #hungUp = false;

  /** Runs Deno with `args`. */
  constructor(...args: string[]) {
    this.#slave = this.#libc.open(this.#pty.path, O.RDWR | O.NOCTTY);
    const termios = this.#termios();
    termios[12] = termios[12]! | COOKED;
    assertEquals(this.#libc.ioctl(this.#slave, TCSETS, termios), 0);
    const command = 'tty=$1; shift; exec "$0" "$@" <"$tty" >"$tty"';
    this.#process = new Deno.Command("sh", {
      args: ["-c", command, Deno.execPath(), this.#pty.path, ...args],
      stdin: "null",
      stderr: "piped",
    }).spawn();
  }

  get screen(): ConsoleProbe {
    return this.#screen ??= new ConsoleProbe(this.#pty);
  }

  /** All that the child says on stderr. */
  get stderr(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#process.stderr;
  }

  /** The terminal goes away. */
  async hangUp(): Promise<void> {
    this.#hungUp = true;
    this.#libc.close(this.#slave);
    await this.#pty[Symbol.asyncDispose]();
  }

  get status(): Promise<Deno.CommandStatus> {
    return this.#process.status;
  }

  get cooked(): boolean {
    return (this.#termios()[12]! & COOKED) === COOKED;
  }

  type(text: string): void {
    this.#pty.write(bytesOf(text));
  }

  resize(columns: number, rows: number): void {
    const size = Uint8Array.of(rows, 0, columns, 0, 0, 0, 0, 0);
    assertEquals(this.#libc.ioctl(this.#slave, TIOCSWINSZ, size), 0);
    this.#process.kill("SIGWINCH");
  }

  kill(signal: Deno.Signal = "SIGKILL"): void {
    this.#process.kill(signal);
  }

  #termios(): Uint8Array {
    const termios = new Uint8Array(36);
    assertEquals(this.#libc.ioctl(this.#slave, TCGETS, termios), 0);
    return termios;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.status;
    await this.#process.stderr.cancel().catch(() => {});
    if (!this.#hungUp) this.#libc.close(this.#slave);
    this.#libc[Symbol.dispose]();
    await this.#pty[Symbol.asyncDispose]();
  }
}
