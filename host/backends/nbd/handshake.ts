/**
 * The fixed newstyle handshake: from the server's first byte to transmission, with NBD_OPT_GO.
 *
 * Structured replies are asked for and done without; an export that this side could not use is refused here.
 *
 * @module
 */
import { BackendError, LinkError, type Transport, viewOf } from "../../../protocol/mod.ts";
import type { ByteReader } from "./byte_reader.ts";
import {
  be16,
  be32,
  CLIENT_HELLO,
  EXPORT_FLAG,
  HELLO_FLAG,
  INFO,
  INFO_BLOCK_SIZE,
  INFO_EXPORT,
  MAGIC,
  MAX_STRING,
  OPT,
  OPTION,
  OPTION_ERROR,
  OPTION_REPLY,
  REP,
  SERVER_HELLO,
} from "./protocol.ts";

/** What a server says of an export. */
export interface NbdExport {
  /** Bytes. */
  readonly size: number;
  readonly flags: number;
  /** Every offset and length is a multiple of it: a power of two, 1 or more. */
  readonly minimumBlock: number;
  /** Largest payload of one request, in bytes: `minimumBlock` or more. */
  readonly maximumBlock: number;
  readonly structuredReplies: boolean;
}

/** What every server takes that says nothing of block sizes. */
const DEFAULT_MAXIMUM = 32 * 1024 * 1024;
const LARGEST_MINIMUM = 64 * 1024;
/** Replies of one option: more than any server has information to give. */
const MAX_REPLIES = 64;

/**
 * All options but STARTTLS, after {@linkcode greet}.
 *
 * @throws {BackendError} if the server has no such export, or one that is of no use here
 * @throws {LinkError} if the connection ends or what it brings is no NBD
 */
export async function negotiate(
  transport: Transport,
  reader: ByteReader,
  exportName: string,
): Promise<NbdExport> {
  const structuredReplies = await askStructuredReplies(transport, reader);
  const chosen = await go(transport, reader, exportName);
  return { ...chosen, structuredReplies };
}

/** The first words of both. @throws {BackendError | LinkError} if it is no server for us */
export async function greet(transport: Transport, reader: ByteReader): Promise<void> {
  await reader.need(SERVER_HELLO.size);
  const hello = SERVER_HELLO.read(reader.view, reader.take(SERVER_HELLO.size));
  if (hello.magic !== MAGIC.NBDMAGIC) throw new LinkError("it is no NBD server");
  if (hello.version !== MAGIC.IHAVEOPT || (hello.flags & HELLO_FLAG.FIXED_NEWSTYLE) === 0) {
    throw new BackendError("the server speaks the old handshake, wanted fixed newstyle");
  }
  const known = HELLO_FLAG.FIXED_NEWSTYLE | HELLO_FLAG.NO_ZEROES;
  const answer = new Uint8Array(CLIENT_HELLO.size);
  CLIENT_HELLO.write(viewOf(answer), { flags: hello.flags & known });
  await transport.write(answer);
}

async function askStructuredReplies(transport: Transport, reader: ByteReader): Promise<boolean> {
  await sendOption(transport, OPT.STRUCTURED_REPLY, new Uint8Array());
  const { type, length } = await optionReply(reader, OPT.STRUCTURED_REPLY);
  const text = await reader.text(length);
  if (type === REP.ACK && text === "") return true;
  if (type >= REP.ERROR) return false;
  throw malformed(`reply ${type} to the option STRUCTURED_REPLY`);
}

async function go(
  transport: Transport,
  reader: ByteReader,
  exportName: string,
): Promise<Omit<NbdExport, "structuredReplies">> {
  await sendOption(transport, OPT.GO, goData(exportName));
  let size: number | undefined;
  let flags = 0;
  let blocks = { minimum: 1, maximum: DEFAULT_MAXIMUM };
  for (let replies = 0; replies < MAX_REPLIES; replies++) {
    const { type, length } = await optionReply(reader, OPT.GO);
    if (type >= REP.ERROR) throw refusal(type, await reader.text(length));
    if (type === REP.ACK && length === 0) {
      if (size === undefined) throw malformed("no size of the export");
      return usable({ size, flags, minimumBlock: blocks.minimum, maximumBlock: blocks.maximum });
    }
    if (type !== REP.INFO || length < be16.size) {
      throw malformed(`reply ${type} of ${length} bytes to the option GO`);
    }
    await reader.need(length);
    const { view } = reader;
    const at = reader.take(length);
    const info = be16.get(view, at);
    if (info === INFO.EXPORT && length === INFO_EXPORT.size) {
      ({ size, flags } = INFO_EXPORT.read(view, at));
    } else if (info === INFO.BLOCK_SIZE && length === INFO_BLOCK_SIZE.size) {
      blocks = INFO_BLOCK_SIZE.read(view, at);
    } else if (info === INFO.EXPORT || info === INFO.BLOCK_SIZE) {
      throw malformed(`information ${info} of ${length} bytes`);
    }
  }
  throw malformed("no end of replies to the option GO");
}

/** Name of the export, and what to tell of it beyond its size and flags, which come always. */
function goData(exportName: string): Uint8Array {
  const name = new TextEncoder().encode(exportName);
  const data = new Uint8Array(be32.size + name.length + 2 * be16.size);
  const view = viewOf(data);
  be32.set(view, 0, name.length);
  data.set(name, be32.size);
  be16.set(view, be32.size + name.length, 1);
  be16.set(view, be32.size + name.length + be16.size, INFO.BLOCK_SIZE);
  return data;
}

export async function sendOption(
  transport: Transport,
  option: number,
  data: Uint8Array,
): Promise<void> {
  const bytes = new Uint8Array(OPTION.size + data.length);
  OPTION.write(viewOf(bytes), { magic: MAGIC.IHAVEOPT, option, length: data.length });
  bytes.set(data, OPTION.size);
  await transport.write(bytes);
}

/** The head of a reply: `length` bytes, at most 4096, follow. @throws {LinkError} if it is none to `option` */
export async function optionReply(
  reader: ByteReader,
  option: number,
): Promise<{ readonly type: number; readonly length: number }> {
  await reader.need(OPTION_REPLY.size);
  const reply = OPTION_REPLY.read(reader.view, reader.take(OPTION_REPLY.size));
  if (reply.magic !== MAGIC.OPTION_REPLY || reply.option !== option) {
    throw malformed(`a reply to option ${option} that is none`);
  }
  if (reply.length > MAX_STRING) throw malformed(`a reply of ${reply.length} bytes`);
  return reply;
}

function refusal(type: number, text: string): BackendError {
  const why = type === REP.ERR_UNSUP
    ? "it does not know the option GO, which is wanted"
    : OPTION_ERROR.get(type - REP.ERROR) ?? `error ${type - REP.ERROR}`;
  return new BackendError(`the server refuses: ${why}${text === "" ? "" : ` ("${text}")`}`);
}

/** With a bound to the largest request. @throws if the numbers make no sense */
function usable<E extends Omit<NbdExport, "structuredReplies">>(found: E): E {
  const { size, flags, minimumBlock, maximumBlock } = found;
  const powerOfTwo = minimumBlock > 0 && (minimumBlock & (minimumBlock - 1)) === 0;
  if (!powerOfTwo || minimumBlock > LARGEST_MINIMUM || maximumBlock < minimumBlock) {
    throw malformed(`blocks of ${minimumBlock} to ${maximumBlock} bytes`);
  }
  if (size === Infinity) throw malformed("a size beyond 2^53");
  if ((flags & EXPORT_FLAG.HAS_FLAGS) === 0) throw malformed("no flags of the export");
  return { ...found, maximumBlock: Math.min(maximumBlock, DEFAULT_MAXIMUM) };
}

const malformed = (what: string) => new LinkError(`the server's handshake is malformed: ${what}`);
