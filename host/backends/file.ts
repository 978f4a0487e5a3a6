/**
 * A raw disk image, or a block device of the host, as a disk.
 *
 * Reads and writes are positioned and synchronous: on cached data they take microseconds, many times less than any
 * asynchronous call. What can take long (data sync, large discards, zeros written out) does not block the event loop.
 * Holes stay holes: discards and zeroes punch them where the file system can and `--allow-ffi` is given.
 *
 * One process may write an image, or several may read it: the lock is flock(2), and ends with the process.
 *
 * @module
 */
import { closeSync, fdatasync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { BackendError, virtioBlock } from "../../protocol/mod.ts";
import { DataSync } from "./_data_sync.ts";
import { checked, ERRNO } from "./_errno.ts";
import { growthError } from "./_growth.ts";
import { type Libc, openLibc } from "./_libc.ts";
import type { BlockBackend } from "./types.ts";

const { SECTOR_SIZE } = virtioBlock;

/** fallocate(2): KEEP_SIZE with PUNCH_HOLE, or with ZERO_RANGE (which keeps the blocks allocated). */
const FALLOCATE = { punchHole: 0x3, zeroRange: 0x11 } as const;
/**
 * Bytes of one fallocate call, and of zeros written at once, before the event loop has its turn: by a timer, because
 * Deno looks at no socket for 61 turns of `setImmediate`, and a slow store makes long ones.
 */
const FALLOCATE_PIECE = 64 * 1024 * 1024;
const ZEROS_PIECE = 1024 * 1024;

export interface FileBackendOptions {
  readonly readOnly?: boolean;
}

export class FileBackend implements BlockBackend {
  readonly name: string;
  #sectors: number;
  readonly readOnly: boolean;
  readonly blockSize: number = SECTOR_SIZE;
  readonly synchronous = true;
  readonly #fd: number;
  readonly #lock: Deno.FsFile;
  readonly #libc: Libc | undefined;
  /** Ways of fallocate that this file system has refused. */
  readonly #unsupported = new Set<number>();
  readonly #syncs: DataSync;
  /** The last of the calls that go on for many turns of the event loop. */
  #long: Promise<void> = Promise.resolve();
  #closed = false;

  private constructor(path: string, readOnly: boolean, fd: number, lock: Deno.FsFile) {
    this.name = path;
    this.readOnly = readOnly;
    this.#fd = fd;
    this.#lock = lock;
    this.#sectors = capacity(path, lock);
    this.#syncs = new DataSync(() => this.#sync());
    const ffi = Deno.permissions.querySync({ name: "ffi" }).state === "granted";
    this.#libc = ffi && !readOnly ? openLibc() : undefined;
  }

  /** @throws {BackendError} if `path` cannot be opened, is not a disk image, or is in use */
  static open(path: string, { readOnly = false }: FileBackendOptions = {}): FileBackend {
    let lock: Deno.FsFile | undefined;
    let fd: number | undefined;
    try {
      lock = Deno.openSync(path, { read: true, write: !readOnly });
      // The lock needs an FsFile and positioned I/O a descriptor number: two opens of one file.
      fd = openSync(path, readOnly ? "r" : "r+");
      if (fstatSync(fd).ino !== lock.statSync().ino) throw new Error("it was replaced meanwhile");
      if (!lock.tryLockSync(!readOnly)) {
        throw new Error(`it is in use; whoever only reads it may share it as "${path},readonly"`);
      }
      return new FileBackend(path, readOnly, fd, lock);
    } catch (cause) {
      lock?.close();
      if (fd !== undefined) closeSync(fd);
      throw new BackendError(
        `Cannot open disk image ${path}: ${reason(cause)}${advice(cause, path, readOnly)}`,
        { cause },
      );
    }
  }

  get sectors(): number {
    return this.#sectors;
  }

  read(sector: number, into: Uint8Array, _signal: AbortSignal): void {
    const position = sector * SECTOR_SIZE;
    let done = 0;
    try {
      while (done < into.length) {
        const count = readSync(this.#fd, into, done, into.length - done, position + done);
        if (count === 0) throw new Error("the file was cut short");
        done += count;
      }
    } catch (cause) {
      throw new BackendError(`Cannot read ${this.name}: ${reason(cause)}`, { cause });
    }
  }

  write(sector: number, from: Uint8Array, _signal: AbortSignal): void {
    this.#writeAt(sector * SECTOR_SIZE, from);
  }

  flush(_signal: AbortSignal): Promise<void> {
    return this.readOnly ? Promise.resolve() : this.#syncs.run();
  }

  #sync(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      fdatasync(this.#fd, (cause) => {
        if (!cause) return resolve();
        const why = `${reason(cause)}; no later sync is believed until the disk is opened anew`;
        reject(new BackendError(`Cannot sync ${this.name}: ${why}`, { cause }));
      });
    });
  }

  /** A hint: where no hole can be punched, nothing is done. */
  discard(sector: number, count: number, signal: AbortSignal): void | Promise<void> {
    return this.#allocate(FALLOCATE.punchHole, sector * SECTOR_SIZE, count * SECTOR_SIZE, signal);
  }

  writeZeroes(
    sector: number,
    count: number,
    unmap: boolean,
    signal: AbortSignal,
  ): void | Promise<void> {
    const mode = unmap ? FALLOCATE.punchHole : FALLOCATE.zeroRange;
    const offset = sector * SECTOR_SIZE;
    const length = count * SECTOR_SIZE;
    // A file system says at the first call, before anything was changed, that it cannot.
    const done = this.#allocate(mode, offset, length, signal);
    if (this.#can(mode)) return done;
    return this.#inTurn(() => this.#fillZeroes(offset, length, signal));
  }

  /** The image is made longer, with a hole, unless somebody has done that already. */
  resize(sectors: number): void {
    try {
      const now = capacity(this.name, this.#lock);
      const why = growthError(sectors, now);
      if (why !== undefined) throw new Error(why);
      if (sectors > now) {
        if (this.readOnly) throw new Error("it is read-only");
        this.#lock.truncateSync(sectors * SECTOR_SIZE);
      }
    } catch (cause) {
      throw new BackendError(`Cannot resize ${this.name}: ${reason(cause)}`, { cause });
    }
    this.#sectors = sectors;
  }

  /** Call it when no request is under way; waits for a sync. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#syncs.settled();
    closeSync(this.#fd);
    this.#lock.close();
    this.#libc?.[Symbol.dispose]();
  }

  #can(mode: number): boolean {
    return this.#libc !== undefined && !this.#unsupported.has(mode);
  }

  /** fallocate in pieces, the first at once. Does nothing where `mode` is not supported. */
  #allocate(mode: number, offset: number, length: number, signal: AbortSignal): Done {
    const first = Math.min(length, FALLOCATE_PIECE);
    this.#allocatePiece(mode, offset, first);
    if (first < length && this.#can(mode)) {
      return this.#inTurn(() => this.#allocateRest(mode, offset + first, offset + length, signal));
    }
  }

  /** One after the other: a queue full of them must not take a piece of each before anybody else has a turn. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#long.then(work);
    this.#long = done.catch(() => {});
    return done;
  }

  async #allocateRest(
    mode: number,
    start: number,
    end: number,
    signal: AbortSignal,
  ): Promise<void> {
    for (let at = start; at < end; at += FALLOCATE_PIECE) {
      await setTimeout(0, undefined, { signal });
      this.#allocatePiece(mode, at, Math.min(FALLOCATE_PIECE, end - at));
    }
  }

  #allocatePiece(mode: number, offset: number, length: number): void {
    if (length === 0 || !this.#can(mode)) return;
    const result = this.#libc!.fallocate(this.#fd, mode, offset, length);
    if (result === -ERRNO.EOPNOTSUPP || result === -ERRNO.ENOSYS) this.#unsupported.add(mode);
    else checked(result, `free a range of ${this.name}`);
  }

  async #fillZeroes(offset: number, length: number, signal: AbortSignal): Promise<void> {
    const zeros = new Uint8Array(Math.min(length, ZEROS_PIECE));
    signal.throwIfAborted();
    for (let at = 0; at < length; at += zeros.length) {
      this.#writeAt(offset + at, zeros.subarray(0, Math.min(zeros.length, length - at)));
      await setTimeout(0, undefined, { signal });
    }
  }

  #writeAt(position: number, from: Uint8Array): void {
    let done = 0;
    try {
      while (done < from.length) {
        done += writeSync(this.#fd, from, done, from.length - done, position + done);
      }
    } catch (cause) {
      throw new BackendError(`Cannot write ${this.name}: ${reason(cause)}`, { cause });
    }
  }
}

type Done = void | Promise<void>;

/** Sectors. By seeking, because a block device has no size in its stat. */
function capacity(path: string, file: Deno.FsFile): number {
  if (file.statSync().isDirectory) throw new Deno.errors.IsADirectory();
  const bytes = file.seekSync(0, Deno.SeekMode.End);
  if (bytes === 0) throw new Error(`it is empty; give it a size with "truncate -s 1G ${path}"`);
  if (bytes % SECTOR_SIZE !== 0) {
    throw new Error(
      `it has ${bytes} bytes, wanted whole sectors of 512; "truncate -s %512 ${path}" fills it up`,
    );
  }
  return bytes / SECTOR_SIZE;
}

function reason(cause: unknown): string {
  if (cause instanceof Deno.errors.NotFound) return "no such file";
  if (cause instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (cause instanceof Deno.errors.IsADirectory) return "it is a directory";
  return cause instanceof Error ? cause.message : String(cause);
}

/** What to do about it, where there is something to be done. */
function advice(cause: unknown, path: string, readOnly: boolean): string {
  if (cause instanceof Deno.errors.NotFound) {
    return readOnly ? "" : `; make an empty one with "truncate -s 1G ${path}"`;
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return readOnly
      ? "; it must be open to this user for reading"
      : `; it must be open to this user for reading and writing, or be given as "${path},readonly"`;
  }
  if (cause instanceof Deno.errors.IsADirectory) {
    return "; wanted a raw image file, or a block device";
  }
  return "";
}
