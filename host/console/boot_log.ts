/**
 * What a card's console shows, kept on disk: a file for each boot, every line with its time.
 *
 *     boot-7.log        boot 7, or the newer half of it
 *     boot-7.serial     how many bytes of the card's serial port are in it
 *     boot-7.old.log    what came before, when boot 7 has shown more than half of what is kept of a boot
 *
 * Written asynchronously, one write at a time: a slow disk costs lines of the log, which says so, and nothing else. The
 * oldest boots go when there are too many.
 *
 * Needs `--allow-read --allow-write` of the folder.
 *
 * Invariant: no more than MAX_PENDING bytes and one piece wait for the disk, and one write of as many is under way.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";
import { LineStamper } from "./stamp.ts";

const MAX_PENDING = 256 * 1024;
/** Bytes stamped at once: an empty line is 26 times as long with its time. */
const PIECE = 4096;

export interface BootLogOptions {
  /** Where the files are; made if it is not there. */
  readonly folder: string;
  /** Bytes kept of one boot; 4 MiB by default. */
  readonly size?: number;
  /** Boots that are kept; 50 by default. */
  readonly boots?: number;
  /** Told once when a boot's log cannot be written; the rest of that boot is lost. */
  readonly report: (error: BackendError) => void;
  /** ms since 1970. */
  readonly now?: () => number;
}

export class BootLog implements AsyncDisposable {
  readonly #options: BootLogOptions;
  readonly #half: number;
  readonly #boots: number;
  readonly #now: () => number;
  readonly #stamper = new LineStamper();
  /** Stamped bytes, and boots that begin between them. */
  #pending: (Uint8Array<ArrayBuffer> | number)[] = [];
  #pendingBytes = 0;
  #lost = 0;
  /** To be written when nothing is pending. */
  #mark: number | undefined;
  #file: Deno.FsFile | undefined;
  #fileBytes = 0;
  /** The boot whose file that is. */
  #fileBoot = 0;
  #boot: number | undefined;
  #broken = false;
  #closed = false;
  #working: Promise<void> = Promise.resolve();
  #busy = false;

  constructor(options: BootLogOptions) {
    const { size = 4 * 1024 * 1024, boots = 50, now = Date.now } = options;
    this.#options = options;
    this.#half = size / 2;
    this.#boots = boots;
    this.#now = now;
  }

  /** The boot whose output is kept now. */
  get boot(): number | undefined {
    return this.#boot;
  }

  /** What is written from now on is boot `number`'s; a log of it that is there is gone on with. */
  begin(number: number): void {
    if (this.#closed) return;
    this.#push(this.#stamper.endLine());
    this.#pending.push(number);
    this.#boot = number;
    this.#mark = undefined;
    this.#work();
  }

  /** Copies `bytes`. What comes before the first boot is not kept. */
  write(bytes: Uint8Array): void {
    if (this.#closed || this.#boot === undefined) return;
    const now = this.#now();
    for (let at = 0; at < bytes.length; at += PIECE) {
      this.#writePiece(bytes.subarray(at, at + PIECE), now);
    }
  }

  #writePiece(bytes: Uint8Array, now: number): void {
    if (this.#pendingBytes > MAX_PENDING) {
      this.#lost += bytes.length;
      return;
    }
    if (this.#lost > 0) {
      const mark = `[knightsbridge: ${this.#lost} bytes are not here: the disk was too slow]\n`;
      this.#push(this.#stamper.endLine());
      this.#push(this.#stamper.stamp(new TextEncoder().encode(mark), now));
      this.#lost = 0;
    }
    this.#push(this.#stamper.stamp(bytes, now));
    this.#work();
  }

  /** Keeps `end` beside the log, once all that was written before is in it; `markOf` finds it, also in another process. */
  mark(end: number): void {
    if (this.#closed || this.#boot === undefined) return;
    this.#mark = end;
    this.#work();
  }

  /** What was kept with the log of boot `number` last. */
  markOf(number: number): number | undefined {
    try {
      const text = Deno.readTextFileSync(this.#path(number, "", "serial"));
      return /^\d{10}$/.test(text) ? Number(text) : undefined;
    } catch (error) {
      // Without it all is well, but for a piece that may come again.
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
        return undefined;
      }
      throw error;
    }
  }

  /** Boots that have a log, oldest first. */
  async list(): Promise<number[]> {
    const numbers = new Set<number>();
    try {
      for await (const { name } of Deno.readDir(this.#options.folder)) {
        const match = /^boot-(\d+)\.(?:old\.)?log$/.exec(name);
        if (match) numbers.add(Number(match[1]));
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    return [...numbers].sort((a, b) => a - b);
  }

  /** All that is kept of boot `number`; undefined if nothing is. */
  async read(number: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    await this.flushed();
    const halves = await Promise.all(
      [this.#path(number, ".old"), this.#path(number)].map((path) => readIfThere(path)),
    );
    if (halves.every((half) => half === undefined)) return undefined;
    return new Uint8Array(await new Blob(halves.map((half) => half ?? new Uint8Array())).bytes());
  }

  /** Resolves when all that was written by now is on its way to the disk. */
  async flushed(): Promise<void> {
    await this.#working;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#working;
    this.#file?.close();
    this.#file = undefined;
  }

  #push(bytes: Uint8Array<ArrayBuffer>): void {
    if (bytes.length === 0) return;
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
  }

  #work(): void {
    if (this.#busy) return;
    this.#busy = true;
    this.#working = this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    while (this.#pending.length > 0 || this.#mark !== undefined) {
      try {
        if (this.#pending.length > 0) await this.#writePending();
        else await this.#writeMark();
      } catch (cause) {
        this.#broken = true;
        this.#options.report(
          new BackendError(
            `Cannot write the console's log in ${this.#options.folder}: ${messageOf(cause)}`,
            { cause },
          ),
        );
      }
    }
    this.#busy = false;
  }

  async #writePending(): Promise<void> {
    const next = this.#pending[0]!;
    if (typeof next === "number") {
      this.#pending.shift();
      this.#broken = false;
      await this.#open(next);
      return await this.#prune(next);
    }
    const end = this.#pending.findIndex((item) => typeof item === "number");
    const pieces = this.#pending.splice(0, end < 0 ? Infinity : end) as Uint8Array<ArrayBuffer>[];
    const bytes = await new Blob(pieces).bytes();
    this.#pendingBytes -= bytes.length;
    if (this.#broken || !this.#file) return;
    if (this.#fileBytes > 0 && this.#fileBytes + bytes.length > this.#half) await this.#turnOver();
    const kept = bytes.subarray(Math.max(0, bytes.length - this.#half));
    for (let at = 0; at < kept.length;) at += await this.#file.write(kept.subarray(at));
    this.#fileBytes += kept.length;
  }

  async #writeMark(): Promise<void> {
    const text = String(this.#mark).padStart(10, "0");
    this.#mark = undefined;
    if (this.#broken) return;
    const path = this.#path(this.#fileBoot, "", "serial");
    using file = await Deno.open(path, { write: true, create: true, mode: 0o600 });
    await file.write(new TextEncoder().encode(text));
  }

  async #open(number: number): Promise<void> {
    this.#file?.close();
    this.#file = undefined;
    await Deno.mkdir(this.#options.folder, { recursive: true, mode: 0o700 });
    this.#file = await Deno.open(this.#path(number), { append: true, create: true, mode: 0o600 });
    this.#fileBytes = (await this.#file.stat()).size;
    this.#fileBoot = number;
  }
  /** The newer half is the older one from now on, and what was older is gone. */
  async #turnOver(): Promise<void> {
    await Deno.rename(this.#path(this.#fileBoot), this.#path(this.#fileBoot, ".old"));
    await this.#open(this.#fileBoot);
  }

  /** A boot with a number higher than `newest` is one of another life of the state folder. */
  async #prune(newest: number): Promise<void> {
    const old = (await this.list()).filter((number) => number !== newest);
    for (const number of old.slice(0, Math.max(0, old.length - this.#boots + 1))) {
      const halves = [this.#path(number), this.#path(number, ".old")];
      for (const path of [...halves, this.#path(number, "", "serial")]) {
        await Deno.remove(path).catch((error) => {
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        });
      }
    }
  }

  #path(number: number, half: "" | ".old" = "", kind: "log" | "serial" = "log"): string {
    return `${this.#options.folder}/boot-${number}${half}.${kind}`;
  }
}

async function readIfThere(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
