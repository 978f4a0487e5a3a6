/**
 * Console backend on a pseudoterminal: any terminal program opens the slave (`screen /dev/pts/N`). Raw, so that the
 * card's own terminal driver does the echo and the editing. A symbolic link can give it a lasting name.
 *
 * Invariant: we keep one descriptor of the slave open ourselves. Without any, the master reports a hang-up that never
 * ends, and a terminal program that leaves would take the mode and the size with it.
 *
 * Spec: pty(7), ioctl_tty(2). Needs `--allow-ffi`; for the link `--allow-read --allow-write`.
 *
 * @module
 */
import { le16, le32, viewOf } from "../../protocol/mod.ts";
import { OutputBacklog } from "./output_backlog.ts";
import { checked, ERRNO } from "./_errno.ts";
import { InputGate } from "./_input_gate.ts";
import { type Libc, O, openLibc, POLL } from "./_libc.ts";
import { PtyLink } from "./_pty_link.ts";
import { Readiness } from "./_readiness.ts";
import type { ConsoleBackend, ConsoleEvents } from "./types.ts";

const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TIOCGWINSZ = 0x5413;
const TIOCGPTPEER = 0x5441;
const TIOCGPTN = 0x8004_5430;
const TIOCSPTLCK = 0x4004_5431;

/** The kernel's struct termios. */
const TERMIOS = { size: 36, iflag: 0, oflag: 4, cflag: 8, lflag: 12 } as const;
/** What cfmakeraw(3) clears and sets. */
const RAW = {
  // IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON
  iflag: 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x80 | 0x100 | 0x400,
  oflag: 0x1, // OPOST
  cflag: 0x100, // PARENB
  cs8: 0x30,
  lflag: 0x1 | 0x2 | 0x8 | 0x40 | 0x8000, // ISIG ICANON ECHO ECHONL IEXTEN
} as const;

/** A size changed on the slave raises no event on the master. */
const SIZE_POLL_MS = 250;

/** A pseudoterminal; the user's end is `path`. */
export class PtyBackend implements ConsoleBackend {
  readonly name: string;
  /** The slave, `/dev/pts/N`. */
  readonly path: string;
  readonly #libc: Libc;
  readonly #master: number;
  readonly #slave: number;
  readonly #link: PtyLink | undefined;
  readonly #readiness: Readiness;
  readonly #gate = new InputGate();
  readonly #input = new Uint8Array(4096);
  readonly #backlog = new OutputBacklog(() => this.#flush());
  readonly #chunk = new Uint8Array(4096);
  #chunkStart = 0;
  #chunkEnd = 0;
  /** `#input` is on its way to the card. */
  #offering = false;
  #opened = false;
  #size = { columns: 0, rows: 0 };
  #timer: ReturnType<typeof setInterval> | undefined;
  #closed = false;

  private constructor(libc: Libc, master: number, slave: number, link: string | undefined) {
    this.#libc = libc;
    this.#master = master;
    this.#slave = slave;
    const number = new Uint8Array(4);
    checked(libc.ioctl(master, TIOCGPTN, number), "name a pseudoterminal");
    this.path = `/dev/pts/${le32.get(viewOf(number), 0)}`;
    this.name = `pty:${link ?? this.path}`;
    this.#link = link === undefined ? undefined : new PtyLink(link, this.path);
    this.#readSize();
    this.#backlog.attach();
    this.#readiness = new Readiness([master], (_, events) => {
      if (events & POLL.OUT) this.#flush();
      if (events & ~POLL.OUT) this.#read();
    });
  }

  /**
   * A new pseudoterminal; `link` becomes a symbolic link to it until it is closed.
   *
   * @throws {BackendError} when there is none to be had, or something else is at `link`
   */
  static open(link?: string): PtyBackend {
    using cleanup = new DisposableStack();
    const libc = cleanup.use(openLibc());
    const master = libc.open("/dev/ptmx", O.RDWR | O.NOCTTY | O.NONBLOCK);
    checked(master, "open a pseudoterminal");
    cleanup.defer(() => libc.close(master));
    checked(libc.ioctl(master, TIOCSPTLCK, new Uint8Array(4)), "unlock a pseudoterminal");
    const slave = libc.ioctlValue(master, TIOCGPTPEER, O.RDWR | O.NOCTTY | O.CLOEXEC);
    checked(slave, "open the other end of a pseudoterminal");
    cleanup.defer(() => libc.close(slave));
    makeRaw(libc, slave);
    const backend = new PtyBackend(libc, master, slave, link);
    cleanup.move();
    return backend;
  }

  get size(): { readonly columns: number; readonly rows: number } | undefined {
    return this.#size.columns > 0 && this.#size.rows > 0 ? this.#size : undefined;
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (!this.#closed) return this.#backlog.write(bytes);
  }

  open(events: ConsoleEvents): void {
    this.#opened = true;
    this.#gate.open(events);
    this.#timer = setInterval(() => {
      if (this.#readSize() && this.size) this.#gate.resized(this.#size.columns, this.#size.rows);
    }, SIZE_POLL_MS);
    this.#want();
  }

  resume(): void {
    this.#gate.resume();
  }

  paced(on: boolean): void {
    this.#backlog.paced = on;
  }

  /** Returns whether it changed. */
  #readSize(): boolean {
    const size = new Uint8Array(8);
    if (this.#libc.ioctl(this.#master, TIOCGWINSZ, size) < 0) return false;
    const rows = le16.get(viewOf(size), 0);
    const columns = le16.get(viewOf(size), 2);
    if (rows === this.#size.rows && columns === this.#size.columns) return false;
    this.#size = { columns, rows };
    return true;
  }

  #read(): void {
    if (this.#closed || this.#offering) return;
    const count = this.#libc.read(this.#master, this.#input);
    if (count === -ERRNO.EAGAIN) return;
    if (count <= 0) {
      // Not while we hold the slave; reading on would only spin.
      this.#opened = false;
      return this.#want();
    }
    const offered = this.#gate.offer(this.#input.subarray(0, count));
    if (offered === undefined) return;
    this.#offering = true;
    this.#want();
    offered.then(() => {
      this.#offering = false;
      this.#want();
    });
  }

  #flush(): void {
    while (!this.#closed) {
      if (this.#chunkStart === this.#chunkEnd) {
        this.#chunkStart = 0;
        this.#chunkEnd = this.#backlog.take(this.#chunk);
        if (this.#chunkEnd === 0) break;
      }
      const chunk = this.#chunk.subarray(this.#chunkStart, this.#chunkEnd);
      const count = this.#libc.write(this.#master, chunk);
      if (count <= 0) break;
      this.#chunkStart += count;
    }
    this.#want();
  }

  #want(): void {
    const input = this.#opened && !this.#offering ? POLL.IN : 0;
    this.#readiness.want(0, input | (this.#chunkStart < this.#chunkEnd ? POLL.OUT : 0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    this.#gate[Symbol.dispose]();
    this.#backlog[Symbol.dispose]();
    this.#link?.[Symbol.dispose]();
    await this.#readiness[Symbol.asyncDispose]();
    this.#libc.close(this.#slave);
    this.#libc.close(this.#master);
    this.#libc[Symbol.dispose]();
  }
}

function makeRaw(libc: Libc, fd: number): void {
  const termios = new Uint8Array(TERMIOS.size);
  const view = viewOf(termios);
  checked(libc.ioctl(fd, TCGETS, termios), "read the mode of a pseudoterminal");
  for (const field of ["iflag", "oflag", "cflag", "lflag"] as const) {
    const at = TERMIOS[field];
    le32.set(view, at, (le32.get(view, at) & ~RAW[field]) >>> 0);
  }
  le32.set(view, TERMIOS.cflag, (le32.get(view, TERMIOS.cflag) | RAW.cs8) >>> 0);
  checked(libc.ioctl(fd, TCSETS, termios), "set the mode of a pseudoterminal");
}
