/**
 * Running one command in the card OS from the host: three named console ports.
 *
 * The card opens the ports; opening `in` (PORT_OPEN) says that it is ready. The host writes a request line to `in`;
 * the card runs it, streams its output to `out` and `err` and ends both with a trailer line. One command at a time.
 *
 *     in:  <nonce> <base64 of the command, UTF-8>\n
 *     out: output bytes, then <nonce> <exit status>\n       err: the same for standard error
 *
 * The trailer follows the output directly (output need not end in a newline); the nonce, fresh for each command and
 * unguessable, is what tells it from output. A line that is no request is dropped.
 *
 * The card OS may outlive a host in the middle of a request, of a command, or of its output. The next host first sends
 * {@linkcode EXEC_BREAK}, which makes half a request no request, and then {@linkcode EXEC_FIRST}: all that comes before
 * its trailers is of earlier ones.
 *
 * @module
 */

/** Port names, as the console device announces them (PORT_NAME). */
export const EXEC_PORT = {
  in: "org.knightsbridge.exec.in",
  out: "org.knightsbridge.exec.out",
  err: "org.knightsbridge.exec.err",
} as const;

/** Longest request line in bytes, newline included; a longer one is answered by nothing and dropped. */
export const EXEC_REQUEST_MAX = 65_536;

/** Ends a request line that another host began, so that it is none: its character is in no request. */
export const EXEC_BREAK = "!\n";

/**
 * First command of a host to a card OS that runs: its clock follows the real-time clock, which follows the host's. Where
 * that is no command, nothing happens.
 */
export const EXEC_FIRST = "hwclock -u -s";

export interface ExecRequest {
  /** 32 hexadecimal digits. */
  readonly nonce: string;
  readonly command: string;
}

/** A nonce for one request. */
export function execNonce(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toHex();
}

/** @throws {RangeError} if the nonce is not 32 hexadecimal digits or the line is too long */
export function encodeExecRequest({ nonce, command }: ExecRequest): Uint8Array {
  if (!/^[0-9a-f]{32}$/.test(nonce)) {
    throw new RangeError(`Cannot encode exec request: nonce "${nonce}", wanted 32 hex digits`);
  }
  const line = `${nonce} ${new TextEncoder().encode(command).toBase64()}\n`;
  if (line.length > EXEC_REQUEST_MAX) {
    throw new RangeError(`Cannot encode exec request: ${line.length} bytes, at most 65536`);
  }
  return new TextEncoder().encode(line);
}

/** The request in `line` (without its newline), or undefined if it is none. */
export function decodeExecRequest(line: string): ExecRequest | undefined {
  const match = /^([0-9a-f]{32}) ([A-Za-z0-9+/]*={0,2})$/.exec(line);
  if (!match) return undefined;
  try {
    const command = new TextDecoder("utf-8", { fatal: true }).decode(
      Uint8Array.fromBase64(match[2]!, { lastChunkHandling: "strict" }),
    );
    return { nonce: match[1]!, command };
  } catch {
    // Base64 of a bad length, or not UTF-8: no request.
    return undefined;
  }
}

/** What ends both outputs of a command. */
export function encodeExecTrailer(nonce: string, status: number): Uint8Array {
  return new TextEncoder().encode(`${nonce} ${status}\n`);
}
