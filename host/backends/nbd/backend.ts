/**
 * An export of an NBD server as a disk: any image format and any store that nbdkit, qemu-nbd or nbd-server serve.
 *
 * When the connection is lost, whatever was not answered is asked again on the next one: the card sees a pause, and no
 * request fails. What is guaranteed beyond that:
 *
 * - What was written before a flush that was answered is on stable storage.
 * - What was acknowledged and not flushed is as safe as the server makes it. It survives a cut network, and the end of a
 *   server process that keeps nothing to itself (nbdkit file). A server that crashes with such writes in its own memory
 *   (qemu-nbd's qcow2 tables, a machine's page cache) loses them, and the flush that follows on the next connection
 *   succeeds nevertheless: NBD has no way to tell one life of a server from the next. QEMU's client is no different.
 * - A request may be done twice, the second time by another connection. The old one's server must be done with it, or
 *   dead, when the new one answers: true of one server process after another, not of two at once on one store.
 *
 * @module
 */
import { BackendError, virtioBlock } from "../../../protocol/mod.ts";
import type { BlockBackend } from "../types.ts";
import { NbdClient, type NbdClientOptions } from "./client.ts";
import { COMMAND, type Command, COMMAND_FLAG, errnoName, EXPORT_FLAG } from "./protocol.ts";
import type { NbdAddress } from "./uri.ts";

const { SECTOR_SIZE } = virtioBlock;

/** Bytes of one trim: a length that the protocol can say and whole blocks of any server. */
const LONGEST_TRIM = 1024 * 1024 * 1024;

const ACT: Readonly<Record<Command, string>> = {
  [COMMAND.READ]: "read",
  [COMMAND.WRITE]: "write",
  [COMMAND.TRIM]: "trim",
  [COMMAND.WRITE_ZEROES]: "zero",
  [COMMAND.FLUSH]: "flush",
  [COMMAND.DISC]: "leave",
};

export interface NbdBackendOptions extends NbdClientOptions {
  readonly signal?: AbortSignal;
}

export class NbdBackend implements BlockBackend {
  readonly name: string;
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly blockSize: number;
  readonly discard?: NonNullable<BlockBackend["discard"]>;
  readonly writeZeroes?: NonNullable<BlockBackend["writeZeroes"]>;
  readonly #client: NbdClient;
  readonly #flushes: boolean;
  /** Bytes of the longest read or write: whole blocks. */
  readonly #longest: number;

  private constructor(client: NbdClient, address: NbdAddress) {
    const { size, flags, minimumBlock, maximumBlock } = client.export;
    this.#client = client;
    this.name = address.uri;
    this.blockSize = Math.max(minimumBlock, SECTOR_SIZE);
    this.#longest = maximumBlock - maximumBlock % this.blockSize;
    this.sectors = size / SECTOR_SIZE;
    this.readOnly = (flags & EXPORT_FLAG.READ_ONLY) !== 0;
    this.#flushes = (flags & EXPORT_FLAG.SEND_FLUSH) !== 0 && !this.readOnly;
    if ((flags & EXPORT_FLAG.SEND_TRIM) !== 0) {
      this.discard = (sector, count, signal) =>
        this.#range(COMMAND.TRIM, 0, sector, count, LONGEST_TRIM, signal);
    }
    if ((flags & EXPORT_FLAG.SEND_WRITE_ZEROES) !== 0) {
      this.writeZeroes = (sector, count, unmap, signal) => {
        const flag = unmap ? 0 : COMMAND_FLAG.NO_HOLE;
        return this.#range(COMMAND.WRITE_ZEROES, flag, sector, count, this.#longest, signal);
      };
    }
  }

  /** @throws {BackendError} if the server cannot be reached, or its export is of no use here; the signal's reason */
  static async open(
    address: NbdAddress,
    { signal = new AbortController().signal, ...options }: NbdBackendOptions = {},
  ): Promise<NbdBackend> {
    try {
      await using opened = new AsyncDisposableStack();
      const client = opened.use(await NbdClient.open(address, signal, options));
      check(client);
      opened.move();
      return new NbdBackend(client, address);
    } catch (cause) {
      if (signal.aborted) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new BackendError(`Cannot open disk ${address.uri}: ${reason}`, { cause });
    }
  }

  get waiting(): string | undefined {
    return this.#client.waiting;
  }

  read(sector: number, into: Uint8Array, signal: AbortSignal): Promise<void> {
    return this.#transfer(COMMAND.READ, sector, into, signal);
  }

  write(sector: number, from: Uint8Array, signal: AbortSignal): Promise<void> {
    return this.#transfer(COMMAND.WRITE, sector, from, signal);
  }

  /** A server that does not know it keeps nothing back. */
  async flush(signal: AbortSignal): Promise<void> {
    if (this.#flushes) await this.#ask(COMMAND.FLUSH, 0, 0, 0, undefined, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  #transfer(
    command: Command,
    sector: number,
    data: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const offset = sector * SECTOR_SIZE;
    if (data.length <= this.#longest) {
      return this.#ask(command, 0, offset, data.length, data, signal);
    }
    const parts: Promise<void>[] = [];
    for (let at = 0; at < data.length; at += this.#longest) {
      const part = data.subarray(at, at + this.#longest);
      parts.push(this.#ask(command, 0, offset + at, part.length, part, signal));
    }
    return all(parts);
  }

  /** One piece after the other: there may be many. */
  async #range(
    command: Command,
    flags: number,
    sector: number,
    count: number,
    longest: number,
    signal: AbortSignal,
  ): Promise<void> {
    const end = (sector + count) * SECTOR_SIZE;
    for (let at = sector * SECTOR_SIZE; at < end; at += longest) {
      await this.#ask(command, flags, at, Math.min(longest, end - at), undefined, signal);
    }
  }

  async #ask(
    command: Command,
    flags: number,
    offset: number,
    length: number,
    data: Uint8Array | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const failure = await this.#client.ask({ command, flags, offset, length, data }, signal);
    if (failure === undefined) return;
    const place = command === COMMAND.FLUSH
      ? ""
      : ` ${length / SECTOR_SIZE} sectors at ${offset / SECTOR_SIZE} of`;
    const said = failure.message === "" ? "" : ` ("${failure.message}")`;
    throw new BackendError(
      `Cannot ${ACT[command]}${place} ${this.name}: the server says ${
        errnoName(failure.error)
      }${said}`,
    );
  }
}

/** Rejects as the first of `parts` that did, but when all are settled: until then the buffer is in use. */
async function all(parts: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(parts)) {
    if (result.status === "rejected") throw result.reason;
  }
}

function check({ export: { size, minimumBlock, maximumBlock } }: NbdClient): void {
  const block = Math.max(minimumBlock, SECTOR_SIZE);
  if (size === 0) throw new BackendError("the export is empty");
  if (size % block !== 0) {
    throw new BackendError(`the export has ${size} bytes, wanted whole blocks of ${block}`);
  }
  if (maximumBlock < SECTOR_SIZE) {
    throw new BackendError(
      `the server takes ${maximumBlock} bytes at once, wanted a sector of 512`,
    );
  }
}
