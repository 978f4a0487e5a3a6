/**
 * Waits for descriptors to become readable or writable, on one thread of Deno's pool, and calls back on the event
 * loop. An eventfd in the poll set ends a wait at once when interest changes or the owner closes, so no operation
 * outlives its owner.
 *
 * Invariant: `ready` is called for what was wanted, never while another `ready` runs, never after dispose began.
 *
 * @module
 */
import { le16, le32, viewOf } from "../../protocol/mod.ts";
import { checked, ERRNO } from "./_errno.ts";
import { type Libc, openLibc } from "./_libc.ts";

/** struct pollfd: descriptor, events, returned events. */
const POLLFD = { size: 8, fd: 0, events: 4, revents: 6 } as const;
/** A poll ignores an entry with descriptor -1. */
const NOBODY = 0xffff_ffff;
const ONE = Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0);

/** Readiness of some descriptors, which stay their owner's and are closed after this is disposed. */
export class Readiness implements AsyncDisposable {
  readonly #libc: Libc;
  readonly #descriptors: readonly number[];
  readonly #ready: (index: number, events: number) => void;
  readonly #wake: number;
  readonly #count = new Uint8Array(8);
  readonly #set: Uint8Array;
  readonly #view: DataView;
  readonly #loop: Promise<void>;
  #polling = false;
  #closed = false;

  /** `ready` gets the index into `descriptors` and the events (POLL) that came. Nothing is wanted at first. */
  constructor(descriptors: readonly number[], ready: (index: number, events: number) => void) {
    this.#libc = openLibc();
    this.#descriptors = descriptors;
    this.#ready = ready;
    this.#wake = checked(this.#libc.eventfd(), "make an event descriptor");
    this.#set = new Uint8Array(POLLFD.size * (descriptors.length + 1));
    this.#view = viewOf(this.#set);
    descriptors.forEach((_, index) => this.#fill(index, 0));
    le32.set(this.#view, POLLFD.size * descriptors.length, this.#wake);
    le16.set(this.#view, POLLFD.size * descriptors.length + POLLFD.events, 1);
    this.#loop = this.#run();
  }

  /** Waits for `events` of one descriptor from now on; 0 for none, not even errors. */
  want(index: number, events: number): void {
    if (this.#closed || !this.#fill(index, events)) return;
    if (this.#polling) this.#libc.write(this.#wake, ONE);
  }

  #fill(index: number, events: number): boolean {
    const at = index * POLLFD.size;
    const fd = events === 0 ? NOBODY : this.#descriptors[index]!;
    const changed = le32.get(this.#view, at) !== fd ||
      le16.get(this.#view, at + POLLFD.events) !== events;
    le32.set(this.#view, at, fd);
    le16.set(this.#view, at + POLLFD.events, events);
    return changed;
  }

  async #run(): Promise<void> {
    const entries = this.#descriptors.length + 1;
    // The owner's constructor runs to its end before the first wait.
    await Promise.resolve();
    while (!this.#closed) {
      this.#polling = true;
      const found = await this.#libc.poll(this.#set, entries);
      this.#polling = false;
      if (found === -ERRNO.EINTR) continue;
      checked(found, "wait for descriptors");
      this.#libc.read(this.#wake, this.#count);
      for (let index = 0; index < entries - 1 && !this.#closed; index++) {
        const at = index * POLLFD.size;
        const events = le16.get(this.#view, at + POLLFD.revents);
        if (le32.get(this.#view, at) !== NOBODY && events !== 0) this.#ready(index, events);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return await this.#loop;
    this.#closed = true;
    this.#libc.write(this.#wake, ONE);
    try {
      await this.#loop;
    } finally {
      this.#libc.close(this.#wake);
      this.#libc[Symbol.dispose]();
    }
  }
}
