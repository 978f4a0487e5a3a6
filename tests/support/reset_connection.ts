/**
 * A stranger who hangs up as rudely as TCP allows.
 *
 * @module
 */
import { connect } from "node:net";

/** Connects to `port` on 127.0.0.1 and resets the connection; resolves when that is done. */
export async function resetConnection(port: number): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port });
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.resetAndDestroy();
  await closed;
}
