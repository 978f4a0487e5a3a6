/**
 * The transaction log of nbd-server (`transactionlog`, `datalog`): what its clients asked and what was answered, in order.
 *
 * Requests and simple replies are in the log as they were on the wire; a write has its data behind it. The server logs a
 * reply before it sends it, so whatever a client does after an answer is behind that answer in the log. `nbd-trdump`
 * prints the same log, `nbd-trplay` replays it.
 *
 * @module
 */
import {
  COMMAND,
  type Command,
  MAGIC,
  REQUEST,
  SIMPLE_REPLY,
} from "../../host/backends/nbd/protocol.ts";
import { viewOf } from "../../protocol/layout.ts";

export type LogEntry =
  /** A client came: what the one before it was not answered never will be. */
  | { readonly kind: "client" }
  | {
    readonly kind: "request";
    readonly command: Command;
    readonly cookie: number;
    readonly offset: number;
    readonly length: number;
    /** What a write brings. */
    readonly data: Uint8Array | undefined;
  }
  | { readonly kind: "reply"; readonly cookie: number; readonly error: number };

/** Before all that a client did: it has a request's layout. */
const TRACE_OPTION = 0x2560_9514;
/** All begin with a magic number. */
const MAGIC_AT = REQUEST.at.magic;
const MAGIC_BYTES = 4;

/** @throws {Error} naming the byte at which this is no log, or ends too early */
export function parseNbdLog(log: Uint8Array): LogEntry[] {
  const entries: LogEntry[] = [];
  const end = walk(log, (entry) => entries.push(entry));
  if (end < log.length) throw new Error(`Cannot read the log: it ends within an entry, at ${end}`);
  return entries;
}

/** Bytes of all whole entries: a request whose client was lost as it came may be there in part. */
export function wholeEntries(log: Uint8Array): number {
  return walk(log, () => {});
}

/** Returns the bytes of the entries, all but one that is cut short by the end. */
function walk(log: Uint8Array, take: (entry: LogEntry) => void): number {
  const view = viewOf(log);
  let at = 0;
  const has = (bytes: number) => at + bytes <= log.length;
  while (has(MAGIC_BYTES)) {
    const magic = view.getUint32(at + MAGIC_AT);
    if (magic === MAGIC.SIMPLE_REPLY) {
      if (!has(SIMPLE_REPLY.size)) break;
      const { cookie, error } = SIMPLE_REPLY.read(view, at);
      take({ kind: "reply", cookie, error });
      at += SIMPLE_REPLY.size;
    } else if (magic === MAGIC.REQUEST) {
      if (!has(REQUEST.size)) break;
      const { type, cookie, offset, length } = REQUEST.read(view, at);
      const command = type as Command;
      const size = REQUEST.size + (command === COMMAND.WRITE ? length : 0);
      if (!has(size)) break;
      const data = size > REQUEST.size ? log.subarray(at + REQUEST.size, at + size) : undefined;
      take({ kind: "request", command, cookie, offset, length, data });
      at += size;
    } else if (magic === TRACE_OPTION) {
      if (!has(REQUEST.size)) break;
      take({ kind: "client" });
      at += REQUEST.size;
    } else {
      throw new Error(`Cannot read the log: 0x${magic.toString(16)} at ${at}`);
    }
  }
  return at;
}
