/**
 * A TCP proxy that makes a short way long: every byte arrives a fixed time after it was sent, in either direction, and
 * as many may be under way as are sent. Runs in its own process, so that its timers wait for nobody.
 *
 *     deno run --allow-net=127.0.0.1 tests/support/delay_proxy.ts PORT MILLISECONDS
 *
 * Prints the port it listens on.
 *
 * @module
 */

/** Bytes that may be under way in one direction: a gigabit for a third of a second. */
const WINDOW = 40 * 1024 * 1024;
const READ_SIZE = 256 * 1024;

interface Piece {
  readonly due: number;
  readonly bytes: Uint8Array;
}

/** One direction, until either end closes. */
async function carry(from: Deno.TcpConn, to: Deno.TcpConn, delay: number): Promise<void> {
  const pieces: Piece[] = [];
  let underWay = 0;
  let changed = Promise.withResolvers<void>();
  const change = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  let ended = false;
  const sending = (async () => {
    while (!ended || pieces.length > 0) {
      const piece = pieces.shift();
      if (piece === undefined) {
        await changed.promise;
        continue;
      }
      await until(piece.due);
      for (let at = 0; at < piece.bytes.length;) at += await to.write(piece.bytes.subarray(at));
      underWay -= piece.bytes.length;
      change();
    }
  })();
  const buffer = new Uint8Array(READ_SIZE);
  for (;;) {
    const count = await from.read(buffer);
    if (count === null) break;
    pieces.push({ due: performance.now() + delay, bytes: buffer.slice(0, count) });
    underWay += count;
    change();
    while (underWay > WINDOW) await changed.promise;
  }
  ended = true;
  change();
  await sending;
  await to.closeWrite();
}

/** Timers are right to a millisecond and late; the rest is waited for in turns of the event loop. */
async function until(due: number): Promise<void> {
  const left = due - performance.now();
  if (left > 2) await new Promise((resolve) => setTimeout(resolve, Math.floor(left) - 1));
  while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, 0));
}

if (import.meta.main) {
  const [port, delay] = Deno.args.map(Number);
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  console.log(listener.addr.port);
  for await (const near of listener) {
    const far = await Deno.connect({ hostname: "127.0.0.1", port: port! });
    near.setNoDelay(true);
    far.setNoDelay(true);
    void Promise.allSettled([carry(near, far, delay!), carry(far, near, delay!)]).then(() => {
      near.close();
      far.close();
    });
  }
}
