/**
 * Replies, simple and structured, to the requests they answer.
 *
 * A simple reply is error and data. A structured one is chunks, in any order and between those of other requests: data,
 * holes, errors; the last is marked. The server is trusted with nothing: each reply must be to a request that it has,
 * within its range, and complete (by the count of bytes: pieces that overlap show in it unless others are missing, and
 * then the server could as well have sent wrong data).
 *
 * @module
 */
import { LinkError } from "../../../protocol/mod.ts";
import type { ByteReader } from "./byte_reader.ts";
import {
  be16,
  be32,
  CHUNK,
  CHUNK_DATA,
  CHUNK_DONE,
  CHUNK_ERROR,
  CHUNK_HOLE,
  CHUNK_TYPE,
  ESHUTDOWN,
  MAGIC,
  MAX_STRING,
  SIMPLE_REPLY,
} from "./protocol.ts";
import type { NbdRequest } from "./request.ts";

/** Whom the replies are for. */
export interface Replies {
  find(cookie: number): NbdRequest | undefined;
  /** All of the answer is here. */
  answered(request: NbdRequest): void;
}

/** Reads until the connection ends. @throws {LinkError} always: why it ended */
export async function readReplies(
  reader: ByteReader,
  replies: Replies,
  structured: boolean,
): Promise<never> {
  for (;;) {
    // Both kinds begin with as many bytes; no await where they are here already.
    if (reader.available < SIMPLE_REPLY.size) await reader.need(SIMPLE_REPLY.size);
    const { view } = reader;
    const at = reader.take(SIMPLE_REPLY.size);
    const { magic, error, cookie } = SIMPLE_REPLY.read(view, at);
    const request = replies.find(cookie);
    if (request?.state !== "sent") throw malformed(`cookie ${cookie} is of no request`);
    if (magic === MAGIC.SIMPLE_REPLY) {
      if (structured && request.reads) throw malformed("a simple reply to a read");
      if (error !== 0) fail(request, error, "");
      else if (request.reads) await receive(reader, request, 0, request.operation.length);
      replies.answered(request);
    } else if (magic === MAGIC.STRUCTURED_REPLY && structured) {
      const flags = be16.get(view, at + CHUNK.at.flags);
      const type = be16.get(view, at + CHUNK.at.type);
      const lengthSize = CHUNK.size - SIMPLE_REPLY.size;
      if (reader.available < lengthSize) await reader.need(lengthSize);
      const length = be32.get(reader.view, reader.take(lengthSize));
      await readChunk(reader, request, type, length);
      if ((flags & CHUNK_DONE) !== 0) {
        finish(request);
        replies.answered(request);
      } else if (type === CHUNK_TYPE.NONE) {
        throw malformed("an empty chunk that is not the last");
      }
    } else {
      throw malformed(`0x${magic.toString(16)} begins no reply`);
    }
  }
}

async function readChunk(
  reader: ByteReader,
  request: NbdRequest,
  type: number,
  length: number,
): Promise<void> {
  if (type === CHUNK_TYPE.NONE) {
    if (length !== 0) throw malformed(`an empty chunk of ${length} bytes`);
  } else if ((type & CHUNK_TYPE.ERROR) !== 0) {
    await readError(reader, request, length);
  } else if (type === CHUNK_TYPE.OFFSET_DATA) {
    if (length <= CHUNK_DATA.size) throw malformed(`a data chunk of ${length} bytes`);
    await reader.need(CHUNK_DATA.size);
    const { offset } = CHUNK_DATA.read(reader.view, reader.take(CHUNK_DATA.size));
    await receive(reader, request, inside(request, offset), length - CHUNK_DATA.size);
  } else if (type === CHUNK_TYPE.OFFSET_HOLE) {
    if (length !== CHUNK_HOLE.size) throw malformed(`a hole chunk of ${length} bytes`);
    await reader.need(length);
    const hole = CHUNK_HOLE.read(reader.view, reader.take(length));
    const at = inside(request, hole.offset);
    count(request, at, hole.length);
    request.buffer?.fill(0, at, at + hole.length);
  } else {
    throw malformed(`chunk type ${type}`);
  }
}

/** What follows the message in an error chunk (an offset, or what is not known here) is passed over. */
async function readError(reader: ByteReader, request: NbdRequest, length: number): Promise<void> {
  if (length < CHUNK_ERROR.size || length > CHUNK_ERROR.size + MAX_STRING + CHUNK_DATA.size) {
    throw malformed(`an error chunk of ${length} bytes`);
  }
  await reader.need(CHUNK_ERROR.size);
  const { error, messageLength } = CHUNK_ERROR.read(reader.view, reader.take(CHUNK_ERROR.size));
  const rest = length - CHUNK_ERROR.size - messageLength;
  if (rest < 0 || messageLength > MAX_STRING) {
    throw malformed(`an error message of ${messageLength} bytes`);
  }
  if (error === 0) throw malformed("an error chunk without an error");
  const message = await reader.text(messageLength);
  await reader.pass(rest, () => {});
  fail(request, error, message);
}

/** `at` and `length` in the request's data. */
async function receive(
  reader: ByteReader,
  request: NbdRequest,
  at: number,
  length: number,
): Promise<void> {
  count(request, at, length);
  // Between two pieces the request may be given up, and its buffer with it.
  await reader.pass(length, (bytes, done) => request.buffer?.set(bytes, at + done));
}

/** Where in the request's data the disk's byte `offset` is. */
function inside(request: NbdRequest, offset: number): number {
  const at = offset - request.operation.offset;
  if (request.reads && at >= 0) return at;
  throw malformed(`data at ${offset} that was not asked for`);
}

function count(request: NbdRequest, at: number, length: number): void {
  stillHere(request);
  const { operation } = request;
  request.received += length;
  if (length === 0 || at + length > operation.length || request.received > operation.length) {
    throw malformed(`${length} bytes at ${at} of a read of ${operation.length}`);
  }
}

function finish(request: NbdRequest): void {
  if (!request.reads || request.failure !== undefined) return;
  if (request.received === request.operation.length) return;
  throw malformed(`${request.received} bytes of a read of ${request.operation.length}`);
}

/** The first error counts. A server that shuts down has done nothing: its successor is asked. */
function fail(request: NbdRequest, error: number, message: string): void {
  stillHere(request);
  if (error === ESHUTDOWN) throw new LinkError("the server is shutting down");
  request.failure ??= { error, message };
}

/** While the rest of a chunk came, the connection may have been given up and the request be the next one's. */
function stillHere(request: NbdRequest): void {
  if (request.state !== "sent") throw new LinkError("the connection was given up");
}

const malformed = (what: string) => new LinkError(`the server's reply is malformed: ${what}`);
