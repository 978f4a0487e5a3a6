import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { toText } from "@std/streams";
import { O, openLibc } from "../../host/backends/_libc.ts";
import { PtyBackend } from "../../host/backends/pty.ts";
import { ConsoleProbe } from "../support/console_probe.ts";
import { missing } from "../support/needs.ts";

const noRun = (await Deno.permissions.query({ name: "run" })).state !== "granted";
const ignore = noRun || await missing("ffi");
const CHILD = new URL("../support/stdio_child.ts", import.meta.url).pathname;
const bytesOf = (text: string) => new TextEncoder().encode(text);

const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TIOCSWINSZ = 0x5414;
/** ISIG, ICANON and ECHO in the fourth word of struct termios. */
const COOKED = 0x1 | 0x2 | 0x8;

/** A child whose standard input and output are the slave of a pseudoterminal in its usual, cooked mode. */
class TerminalChild implements AsyncDisposable {
  readonly #libc = openLibc();
  readonly #slave: number;
  readonly #pty = PtyBackend.open();
  readonly #process: Deno.ChildProcess;
  /** What the child shows is read from its first use on. */
  #screen: ConsoleProbe | undefined;
  #hungUp = false;

  constructor(...args: string[]) {
    this.#slave = this.#libc.open(this.#pty.path, O.RDWR | O.NOCTTY);
    const termios = this.#termios();
    termios[12] = termios[12]! | COOKED;
    assertEquals(this.#libc.ioctl(this.#slave, TCSETS, termios), 0);
    const command = 'tty=$1; shift; exec "$0" run --no-prompt "$@" <"$tty" >"$tty"';
    this.#process = new Deno.Command("sh", {
      args: ["-c", command, Deno.execPath(), this.#pty.path, CHILD, ...args],
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

Deno.test({
  name:
    "StdioBackend is raw while the card has the port open, tells sizes, leaves by Ctrl-], restores the mode",
  ignore,
}, async () => {
  await using child = new TerminalChild("stay");
  const { screen } = child;
  await screen.until(() => screen.text.includes("ready undefinedxundefined"));
  assert(!child.cooked);
  child.resize(132, 50);
  await screen.until(() => screen.text.includes("[132x50]"));
  child.type("\x03abcdefg");
  await screen.until(() => screen.text.includes("<\x03abc><defg>"));
  child.type("h\x1d");
  await screen.until(() => screen.text.includes("closed"));
  assertStringIncludes(screen.text, "<h>");
  assert(child.cooked);
  child.kill();
});

Deno.test({ name: "The terminal has its mode back when the process exits", ignore }, async () => {
  await using child = new TerminalChild("exit");
  const { screen } = child;
  await screen.until(() => screen.text.includes("ready"));
  assert(!child.cooked);
  child.type("\x1d");
  assertEquals((await child.status).code, 3);
  assert(child.cooked);
});

Deno.test(
  { name: "StdioBackend ends in good order on a terminal that hung up", ignore },
  async () => {
    await using child = new TerminalChild("quiet");
    const { screen } = child;
    await screen.until(() => screen.text.includes("ready"));
    await child.hangUp();
    child.kill("SIGUSR1");
    assertEquals(await child.status, { success: true, code: 0, signal: null });
  },
);

Deno.test({
  name: "StdioBackend waits for a terminal that takes no output, but its process does not",
  ignore,
}, async () => {
  await using child = new TerminalChild("flood");
  const text = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  // Its loop goes on, and its end comes.
  assertStringIncludes((await text.read()).value!, "alive");
  child.kill("SIGUSR1");
  assertEquals((await child.status).success, true);
  await text.cancel();
});

Deno.test({ name: "StdioBackend passes a pipe on, Ctrl-] included", ignore: noRun }, async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", CHILD],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(bytesOf("a\x1d."));
  const stdout = await toText(child.stdout);
  assertStringIncludes(stdout, "ready undefinedxundefined\n<a\x1d.>");
  assertStringIncludes(stdout, "closed");
  assert((await child.status).success);
  await writer.close().catch(() => {});
});
