/**
 * The far end of a ping-pong, for the console's peers: gives a byte back on a TCP connection, or a message on a link.
 *
 *     echo_child.ts tcp|link PORT
 *
 * @module
 */
import { dialLink, dialTcp, type Link, MESSAGE } from "../../protocol/mod.ts";

const hostname = "127.0.0.1";
const port = Number(Deno.args[1]);

if (Deno.args[0] === "tcp") {
  using conn = await Deno.connect({ hostname, port });
  conn.setNoDelay(true);
  const byte = new Uint8Array(1);
  while (await conn.read(byte) !== null) await conn.write(byte);
} else {
  const link: Link = dialLink((signal) => dialTcp(hostname, port, signal), {
    role: "card",
    identity: crypto.getRandomValues(new Uint8Array(16)),
    completer: {
      memoryWrite() {},
      memoryRead() {},
      configRead: () => 0,
      configWrite() {},
      ioRead: () => 0,
      ioWrite() {},
      message: (_code, a) => link.message(MESSAGE.post_code, a),
      batchEnd() {},
    },
  }, new AbortController().signal);
  await link.closed;
}
