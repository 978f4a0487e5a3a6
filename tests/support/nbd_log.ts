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
const MAGIC_AT = REQUEST.at.magic;

/** @throws {Error} naming the byte at which this is no log */
export function parseNbdLog(log: Uint8Array): LogEntry[] {
  const view = viewOf(log);
  const entries: LogEntry[] = [];
  for (let at = 0; at < log.length;) {
    const magic = view.getUint32(at + MAGIC_AT);
    if (magic === MAGIC.SIMPLE_REPLY) {
      const { cookie, error } = SIMPLE_REPLY.read(view, at);
      entries.push({ kind: "reply", cookie, error });
      at += SIMPLE_REPLY.size;
    } else if (magic === MAGIC.REQUEST) {
      const { type, cookie, offset, length } = REQUEST.read(view, at);
      const command = type as Command;
      at += REQUEST.size;
      const data = command === COMMAND.WRITE ? log.subarray(at, at + length) : undefined;
      at += data?.length ?? 0;
      entries.push({ kind: "request", command, cookie, offset, length, data });
    } else if (magic === TRACE_OPTION) {
      entries.push({ kind: "client" });
      at += REQUEST.size;
    } else {
      throw new Error(`Cannot read the log: 0x${magic.toString(16)} at ${at}`);
    }
  }
  return entries;
}
