// The tool of these tests: what the proxy does to a connection is what it says.
import { assertEquals, assertGreaterOrEqual, assertRejects } from "@std/assert";
import { Proxy, type ProxyOptions } from "../support/proxy.ts";

interface Wire extends AsyncDisposable {
  readonly proxy: Proxy;
  readonly card: Deno.TcpConn;
  readonly host: Deno.TcpConn;
}

/** A connection through a proxy, by plain sockets. */
async function wire(options: ProxyOptions = {}): Promise<Wire> {
  await using stack = new AsyncDisposableStack();
  const listener = stack.use(Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const proxy = stack.use(await Proxy.start(listener.addr.port, options));
  const dialled = Deno.connect({ hostname: "127.0.0.1", port: proxy.port });
  const [card, host] = await Promise.all([dialled, listener.accept()]);
  stack.use(card);
  stack.use(host);
  const all = stack.move();
  return { proxy, card, host, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

const BYTES = Uint8Array.from({ length: 100_000 }, (_, i) => i * 7);

/** Everything until the end of the stream, or `length` bytes. */
async function take(conn: Deno.Conn, length = Infinity): Promise<Uint8Array> {
  const pieces: number[] = [];
  const into = new Uint8Array(64 * 1024);
  while (pieces.length < length) {
    const count = await conn.read(into);
    if (count === null) break;
    for (const byte of into.subarray(0, count)) pieces.push(byte);
  }
  return Uint8Array.from(pieces);
}

async function send(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

for (const direction of ["cardToHost", "hostToCard"] as const) {
  const ends = ({ card, host }: Wire) => direction === "cardToHost" ? [card, host] : [host, card];

  Deno.test(`Proxy passes every byte and the end of the stream on, ${direction}`, async () => {
    await using run = await wire({ delay: 2 });
    const [from, to] = ends(run);
    void send(from!, BYTES).then(() => from!.closeWrite());
    assertEquals(await take(to!), BYTES);
    // The other way is still open.
    await send(to!, BYTES.subarray(0, 10));
    assertEquals(await take(from!, 10), BYTES.subarray(0, 10));
  });

  Deno.test(`Proxy.cutAfter() closes exactly behind the byte, ${direction}`, async () => {
    for (const at of [0, 1, 70_001]) {
      await using run = await wire();
      const [from, to] = ends(run);
      const cut = run.proxy.cutAfter(direction, at);
      // Whether all of it could be written is not the point.
      void send(from!, BYTES).catch(() => {});
      assertEquals(await take(to!), BYTES.subarray(0, at));
      await cut;
      assertEquals(run.proxy.forwarded[direction], at);
    }
  });

  Deno.test(`Proxy.cutAfter() with a reset is a reset to both ends, ${direction}`, async () => {
    await using run = await wire();
    const [from, to] = ends(run);
    const cut = run.proxy.cutAfter(direction, 5, "reset");
    await send(from!, BYTES.subarray(0, 10));
    await assertRejects(() => take(to!), Deno.errors.ConnectionReset);
    await assertRejects(() => take(from!), Deno.errors.ConnectionReset);
    await cut;
  });

  Deno.test(`Proxy.stall() holds one direction until it is released, ${direction}`, async () => {
    await using run = await wire();
    const [from, to] = ends(run);
    const stalled = run.proxy.cutAfter(direction, 3, "stall");
    await send(from!, BYTES.subarray(0, 10));
    from!.closeWrite();
    await stalled;
    await send(to!, BYTES.subarray(0, 20));
    assertEquals(await take(from!, 20), BYTES.subarray(0, 20));
    const all = take(to!);
    assertEquals(run.proxy.forwarded[direction], 3);
    run.proxy.release();
    assertEquals(await all, BYTES.subarray(0, 10));
  });
}

Deno.test("Proxy forwards no faster than its rate", async () => {
  await using run = await wire({ rate: 200_000 });
  const start = performance.now();
  void send(run.card, BYTES).then(() => run.card.closeWrite());
  assertEquals(await take(run.host), BYTES);
  // 100 kB less the piece that need not wait: a bound from below, which a slow machine only helps.
  assertGreaterOrEqual(performance.now() - start, 480);
});
