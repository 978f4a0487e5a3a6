import { assert, assertEquals, assertThrows } from "@std/assert";
import { O, openLibc, POLL } from "../../host/backends/_libc.ts";
import { PtyBackend } from "../../host/backends/pty.ts";
import { Readiness } from "../../host/backends/_readiness.ts";
import { BackendError } from "../../protocol/mod.ts";
import { ConsoleProbe } from "../support/console_probe.ts";
import { missing } from "../support/needs.ts";

const ignore = await missing("ffi");
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** The user's end: a slave that is opened by its path, as a terminal program does. */
class Terminal implements AsyncDisposable {
  readonly #libc = openLibc();
  readonly #fd: number;
  readonly #readiness: Readiness;
  #text = "";
  #read = Promise.withResolvers<void>();

  constructor(path: string) {
    this.#fd = this.#libc.open(path, O.RDWR | O.NOCTTY | O.NONBLOCK);
    assert(this.#fd >= 0, `open ${path}: ${this.#fd}`);
    this.#readiness = new Readiness([this.#fd], () => {
      const into = new Uint8Array(65536);
      const count = this.#libc.read(this.#fd, into);
      if (count <= 0) return;
      this.#text += new TextDecoder().decode(into.subarray(0, count));
      this.#read.resolve();
      this.#read = Promise.withResolvers<void>();
    });
  }

  type(text: string): void {
    assertEquals(this.#libc.write(this.#fd, bytesOf(text)), text.length);
  }

  /** Reads until `met`, and returns everything read. */
  async screen(met: (text: string) => boolean): Promise<string> {
    this.#readiness.want(0, POLL.IN);
    while (!met(this.#text)) await this.#read.promise;
    return this.#text;
  }

  resize(columns: number, rows: number): void {
    const size = Uint8Array.of(rows & 255, rows >> 8, columns & 255, columns >> 8, 0, 0, 0, 0);
    assertEquals(this.#libc.ioctl(this.#fd, 0x5414, size), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#readiness[Symbol.asyncDispose]();
    this.#libc.close(this.#fd);
    this.#libc[Symbol.dispose]();
  }
}

Deno.test({ name: "PtyBackend carries bytes both ways, raw", ignore }, async () => {
  await using pty = PtyBackend.open();
  const probe = new ConsoleProbe(pty);
  await using terminal = new Terminal(pty.path);
  pty.write(bytesOf("login:\n"));
  assertEquals(await terminal.screen((text) => text.length >= 7), "login:\n");
  terminal.type("a\r\x03\x04");
  await probe.until(() => probe.text.length >= 4);
  assertEquals(probe.text, "a\r\x03\x04");
});

Deno.test({ name: "PtyBackend outlives the terminal program, mode and all", ignore }, async () => {
  await using pty = PtyBackend.open();
  const probe = new ConsoleProbe(pty);
  {
    await using first = new Terminal(pty.path);
    first.type("1");
    await probe.until(() => probe.text === "1");
  }
  await using second = new Terminal(pty.path);
  second.type("\r");
  await probe.until(() => probe.text === "1\r");
});

Deno.test({ name: "PtyBackend offers the rest after resume()", ignore }, async () => {
  await using pty = PtyBackend.open();
  const probe = new ConsoleProbe(pty);
  await using terminal = new Terminal(pty.path);
  probe.room = 2;
  terminal.type("abcdef");
  await probe.until(() => probe.text === "ab");
  terminal.type("gh");
  // Time for a wrong read: output goes all the way round.
  for (const output of ["1", "2"]) {
    pty.write(bytesOf(output));
    await terminal.screen((text) => text.includes(output));
  }
  probe.room = 3;
  pty.resume();
  await probe.until(() => probe.text === "abcde");
  probe.room = Infinity;
  pty.resume();
  await probe.until(() => probe.text.length === 8);
  assertEquals(probe.text, "abcdefgh");
});

Deno.test(
  { name: "PtyBackend tells the size of the terminal when it changes", ignore },
  async () => {
    await using pty = PtyBackend.open();
    assertEquals(pty.size, undefined);
    const probe = new ConsoleProbe(pty);
    await using terminal = new Terminal(pty.path);
    terminal.resize(132, 50);
    await probe.until(() => probe.sizes.length > 0);
    assertEquals(probe.sizes, ["132x50"]);
    assertEquals(pty.size, { columns: 132, rows: 50 });
  },
);

Deno.test(
  { name: "PtyBackend.write() waits for a reader, and loses nothing", ignore },
  async () => {
    await using pty = PtyBackend.open();
    new ConsoleProbe(pty);
    await using terminal = new Terminal(pty.path);
    const text = "0123456789".repeat(30_000);
    const written = pty.write(bytesOf(text));
    assert(written instanceof Promise, "more than the queues hold");
    const seen = await terminal.screen((seen) => seen.length >= text.length);
    assert(seen === text);
    await written;
  },
);

Deno.test(
  { name: "PtyBackend keeps a link to itself, in place of an old one", ignore },
  async () => {
    const folder = Deno.makeTempDirSync();
    try {
      const link = `${folder}/console`;
      Deno.symlinkSync("/dev/pts/9999", link);
      {
        await using pty = PtyBackend.open(link);
        assertEquals(Deno.readLinkSync(link), pty.path);
        assertEquals(pty.name, `pty:${link}`);
      }
      assertThrows(() => Deno.lstatSync(link), Deno.errors.NotFound);
      Deno.writeTextFileSync(link, "precious");
      assertThrows(() => PtyBackend.open(link), BackendError, `${link}: it exists already`);
      assertEquals(Deno.readTextFileSync(link), "precious");
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
);
