/**
 * Filters: functions from block backend to block backend, so that a test can slow down or break any disk. They compose:
 * `fault(delay(disk, …), …)`.
 *
 * A filter has the abilities of the backend behind it, and closes it.
 *
 * @module
 */
import type { BlockBackend } from "../../host/backends/types.ts";
import { virtioBlock } from "../../protocol/mod.ts";

const { SECTOR_SIZE } = virtioBlock;

/** One call to a backend. Sectors; a flush has 0 of them at 0. */
export interface BlockCall {
  readonly operation: "read" | "write" | "flush" | "discard" | "writeZeroes";
  readonly sector: number;
  readonly count: number;
}

type Done = void | Promise<void>;

/** Each call waits for `wait` before it reaches `backend`; the calls are then no longer synchronous. */
export function delay(
  backend: BlockBackend,
  wait: (call: BlockCall, signal: AbortSignal) => Promise<void>,
): BlockBackend {
  const later = async (call: BlockCall, signal: AbortSignal, run: () => Done): Promise<void> => {
    await wait(call, signal);
    await run();
  };
  return filter(backend, later, false);
}

/** A call for which `fails` returns an error fails with it and does not reach `backend`. */
export function fault(
  backend: BlockBackend,
  fails: (call: BlockCall) => Error | undefined,
): BlockBackend {
  const perhaps = (call: BlockCall, _signal: AbortSignal, run: () => Done): Done => {
    const error = fails(call);
    if (error !== undefined) throw error;
    return run();
  };
  return filter(backend, perhaps, backend.synchronous ?? false);
}

type Around = (call: BlockCall, signal: AbortSignal, run: () => Done) => Done;

function filter(inner: BlockBackend, around: Around, synchronous: boolean): BlockBackend {
  const { discard, writeZeroes } = inner;
  return {
    name: inner.name,
    sectors: inner.sectors,
    readOnly: inner.readOnly,
    blockSize: inner.blockSize,
    synchronous,
    read: (sector, into, signal) =>
      around(
        { operation: "read", sector, count: into.length / SECTOR_SIZE },
        signal,
        () => inner.read(sector, into, signal),
      ),
    write: (sector, from, signal) =>
      around(
        { operation: "write", sector, count: from.length / SECTOR_SIZE },
        signal,
        () => inner.write(sector, from, signal),
      ),
    async flush(signal) {
      const call = { operation: "flush", sector: 0, count: 0 } as const;
      await around(call, signal, () => inner.flush(signal));
    },
    ...discard && {
      discard: (sector: number, count: number, signal: AbortSignal) =>
        around(
          { operation: "discard", sector, count },
          signal,
          () => discard.call(inner, sector, count, signal),
        ),
    },
    ...writeZeroes && {
      writeZeroes: (sector: number, count: number, unmap: boolean, signal: AbortSignal) =>
        around(
          { operation: "writeZeroes", sector, count },
          signal,
          () => writeZeroes.call(inner, sector, count, unmap, signal),
        ),
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}
