/**
 * What happens on a transport before a link has it: greetings, or a goodbye in their place.
 *
 * @module
 */
import { LinkError, ProtocolError } from "../errors.ts";
import { viewOf } from "../layout.ts";
import { le32, u8 } from "../scalar.ts";
import { shortIdentity } from "./certificate.ts";
import { GOODBYE_LINGER } from "./connection.ts";
import { encodeGoodbye, goodbyeReason, goodbyeText } from "./control.ts";
import { GOODBYE_TEXT_MAX, HEADER, TYPE } from "./frame.ts";
import type { GoodbyeReason } from "./goodbye.ts";
import { checkPrefix, decodeGreeting, GREETING, type Greeting, PREFIX_BYTES } from "./greeting.ts";
import type { Transport } from "./types.ts";

/** Time for a greeting to come, in ms. */
const GREETING_TIMEOUT = 10_000;

/** The peer turned us away. */
export class Refused extends Error {
  override readonly name = "Refused";
  readonly reason: GoodbyeReason;
  constructor(reason: GoodbyeReason, text: string) {
    super(text);
    this.reason = reason;
  }
}

/** Nothing came, or not all of it, in the time that a greeting has. */
export class TooLate extends LinkError {}

/**
 * Reads the peer's greeting, and not a byte more.
 * @throws {Refused} if it said goodbye instead
 * @throws {ProtocolError} version, malformed, or identity: not that of the certificate it came under
 * @throws {LinkError} if the transport ends, or nothing came in time (it is closed then)
 */
export async function readGreeting(transport: Transport): Promise<Greeting> {
  const greeting = decodeGreeting(await readOpening(transport, GREETING.size, checkPrefix));
  const { fingerprint } = transport;
  if (
    fingerprint !== undefined && greeting.identity.toHex() !== shortIdentity(fingerprint).toHex()
  ) {
    throw new ProtocolError(
      "identity",
      `Cannot greet peer: it says it is ${greeting.identity.toHex()}, but its certificate is ${fingerprint}`,
    );
  }
  return greeting;
}

/**
 * Reads the `size` bytes with which a peer opens, of which `check` looks at the first 16, and not a byte more.
 * @throws {Refused} if it said goodbye instead
 * @throws {ProtocolError} whatever `check` throws
 * @throws {LinkError} if the transport ends, or nothing came in time (it is closed then)
 */
export async function readOpening(
  transport: Transport,
  size: number,
  check: (prefix: Uint8Array) => void,
): Promise<Uint8Array> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    transport.close();
  }, GREETING_TIMEOUT);
  try {
    const bytes = new Uint8Array(size);
    await readFull(transport, bytes.subarray(0, PREFIX_BYTES));
    if (bytes[0] === TYPE.goodbye) await refusal(transport, bytes);
    check(bytes);
    await readFull(transport, bytes.subarray(PREFIX_BYTES));
    return bytes;
  } catch (error) {
    if (late) {
      throw new TooLate(
        `Cannot greet ${transport.peer}: it did not say who it is within ${GREETING_TIMEOUT} ms`,
      );
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Says goodbye on a transport that no link has, waits a moment for the peer to close, and closes. Never rejects. */
export async function refuse(
  transport: Transport,
  reason: GoodbyeReason,
  text: string,
): Promise<void> {
  await sayLast(transport, encodeGoodbye(reason, text));
}

/** Writes `bytes`, waits a moment for the peer to close, and closes. Never rejects. */
export async function sayLast(transport: Transport, bytes: Uint8Array): Promise<void> {
  const timer = setTimeout(() => transport.close(), GOODBYE_LINGER);
  const rest = new Uint8Array(4096);
  try {
    await transport.write(bytes);
    // Closing with bytes unread would reset the connection, and the goodbye could be lost with it.
    while (await transport.read(rest) !== null);
  } catch {
    // The peer has gone already, which is all that was wanted.
  } finally {
    clearTimeout(timer);
    transport.close();
  }
}

async function refusal(transport: Transport, prefix: Uint8Array): Promise<never> {
  const header = viewOf(prefix);
  const length = le32.get(header, HEADER.at.length);
  if (length > GOODBYE_TEXT_MAX) {
    throw new ProtocolError("malformed", `Cannot read goodbye: its text is ${length} bytes`);
  }
  const text = new Uint8Array(length);
  await readFull(transport, text);
  throw new Refused(goodbyeReason(u8.get(header, HEADER.at.code)), goodbyeText(text));
}

async function readFull(transport: Transport, into: Uint8Array): Promise<void> {
  for (let have = 0; have < into.length;) {
    const count = await transport.read(into.subarray(have));
    if (count === null) throw new LinkError(`Cannot greet ${transport.peer}: connection closed`);
    have += count;
  }
}
