/**
 * The NBD protocol's bytes (doc/proto.md of the NBD project): fixed newstyle handshake, requests, simple replies and
 * structured reply chunks. Everything is big-endian; this is the only place that says so.
 *
 * @module
 */
import { layout, type Scalar } from "../../../protocol/mod.ts";

/** A type or length alone is one of these two. */
export const be16: Scalar<number> = {
  size: 2,
  get: (view, at) => view.getUint16(at),
  set: (view, at, value) => view.setUint16(at, within(value, 0xffff)),
};

export const be32: Scalar<number> = {
  size: 4,
  get: (view, at) => view.getUint32(at),
  set: (view, at, value) => view.setUint32(at, within(value, 0xffff_ffff)),
};

/** The magic numbers of the handshake. */
const be64: Scalar<bigint> = {
  size: 8,
  get: (view, at) => view.getBigUint64(at),
  set: (view, at, value) => view.setBigUint64(at, value),
};

/** Byte offsets, sizes and cookies, as numbers; what is not one exactly reads as Infinity, which passes no check. */
const be53: Scalar<number> = {
  size: 8,
  get(view, at) {
    const high = view.getUint32(at);
    return high < 0x20_0000 ? high * 0x1_0000_0000 + view.getUint32(at + 4) : Infinity;
  },
  set(view, at, value) {
    within(value, Number.MAX_SAFE_INTEGER);
    view.setUint32(at, Math.floor(value / 0x1_0000_0000));
    view.setUint32(at + 4, value >>> 0);
  },
};

function within(value: number, max: number): number {
  if (value >= 0 && value <= max && Number.isInteger(value)) return value;
  throw new RangeError(`Cannot encode ${value}: wanted an integer from 0 to ${max}`);
}

/** Server's first words. */
export const SERVER_HELLO = layout({ magic: be64, version: be64, flags: be16 });
export const CLIENT_HELLO = layout({ flags: be32 });
export const OPTION = layout({ magic: be64, option: be32, length: be32 });
export const OPTION_REPLY = layout({ magic: be64, option: be32, type: be32, length: be32 });
/** In INFO replies, by the type in their first field. */
export const INFO_EXPORT = layout({ type: be16, size: be53, flags: be16 });
export const INFO_BLOCK_SIZE = layout({
  type: be16,
  minimum: be32,
  preferred: be32,
  maximum: be32,
});

export const MAGIC = {
  NBDMAGIC: 0x4e42_444d_4147_4943n,
  /** Newstyle; also before each option. */
  IHAVEOPT: 0x4948_4156_454f_5054n,
  OPTION_REPLY: 0x0003_e889_0455_65a9n,
  REQUEST: 0x2560_9513,
  SIMPLE_REPLY: 0x6744_6698,
  STRUCTURED_REPLY: 0x668e_33ef,
} as const;

/** The same bits in the server's flags and in the client's answer. */
export const HELLO_FLAG = { FIXED_NEWSTYLE: 1, NO_ZEROES: 2 } as const;
export const OPT = { STARTTLS: 5, GO: 7, STRUCTURED_REPLY: 8 } as const;
export const REP = { ACK: 1, INFO: 3, ERROR: 0x8000_0000, ERR_UNSUP: 0x8000_0001 } as const;
export const INFO = { EXPORT: 0, BLOCK_SIZE: 3 } as const;

/** What a server says in refusal of an option, by its number without the error bit. */
export const OPTION_ERROR: ReadonlyMap<number, string> = new Map([
  [1, "it does not know the option"],
  [2, "not permitted"],
  [3, "it calls the option invalid"],
  [4, "not possible on its platform"],
  [5, "it wants TLS, which is nbds instead of nbd in the URI"],
  [6, "it has no such export"],
  [7, "it is shutting down"],
  [8, "it wants other block sizes"],
  [9, "the option is too big"],
]);

export const EXPORT_FLAG = {
  HAS_FLAGS: 1,
  READ_ONLY: 2,
  SEND_FLUSH: 4,
  SEND_TRIM: 32,
  SEND_WRITE_ZEROES: 64,
} as const;

export const REQUEST = layout({
  magic: be32,
  flags: be16,
  type: be16,
  cookie: be53,
  offset: be53,
  length: be32,
});
export const COMMAND = { READ: 0, WRITE: 1, DISC: 2, FLUSH: 3, TRIM: 4, WRITE_ZEROES: 6 } as const;
export type Command = typeof COMMAND[keyof typeof COMMAND];
export const COMMAND_FLAG = { NO_HOLE: 2 } as const;

export const SIMPLE_REPLY = layout({ magic: be32, error: be32, cookie: be53 });
/** Its first fields have the sizes of a simple reply's: magic and cookie lie at the same places. */
export const CHUNK = layout({ magic: be32, flags: be16, type: be16, cookie: be53, length: be32 });
export const CHUNK_DONE = 1;
export const CHUNK_TYPE = {
  NONE: 0,
  OFFSET_DATA: 1,
  OFFSET_HOLE: 2,
  /** Set in the types that are errors. */
  ERROR: 0x8000,
} as const;
export const CHUNK_DATA = layout({ offset: be53 });
export const CHUNK_HOLE = layout({ offset: be53, length: be32 });
export const CHUNK_ERROR = layout({ error: be32, messageLength: be16 });

/** Bytes of any text in the protocol. */
export const MAX_STRING = 4096;

export const ESHUTDOWN = 108;
const ERRNO: ReadonlyMap<number, string> = new Map([
  [1, "EPERM"],
  [5, "EIO"],
  [12, "ENOMEM"],
  [22, "EINVAL"],
  [28, "ENOSPC"],
  [75, "EOVERFLOW"],
  [95, "ENOTSUP"],
  [ESHUTDOWN, "ESHUTDOWN"],
]);

/** A number that the protocol does not define is to be taken as EINVAL; its value helps who looks for the cause. */
export function errnoName(error: number): string {
  return ERRNO.get(error) ?? `EINVAL (${error})`;
}
