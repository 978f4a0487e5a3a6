import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { pollConnections } from "../../host/backends/link_socket.ts";
import { LinkError, listenTcp, type TcpListener, type Transport } from "../../protocol/mod.ts";
import { hasSs } from "../support/needs.ts";
import { Random } from "../support/random.ts";

interface Reads {
  count: number;
  /** When the last one was done. */
  last: number;
}

/** A listener that knows of each connection how often Deno itself was asked to read. */
function counting(listener: TcpListener) {
  const reads = new Map<string, Reads>();
  const counted: TcpListener = {
    hostname: listener.hostname,
    port: listener.port,
    async accept() {
      const transport = await listener.accept();
      if (transport === undefined) return undefined;
      const read = transport.read.bind(transport);
      const own: Reads = { count: 0, last: 0 };
      reads.set(transport.peer, own);
      transport.read = async (into) => {
        own.count++;
        const count = await read(into);
        own.last = performance.now();
        return count;
      };
      return transport;
    },
    close: () => listener.close(),
    [Symbol.asyncDispose]: async () => await listener[Symbol.asyncDispose](),
  };
  return { listener: pollConnections(counted), reads };
}

async function echoed(listener: TcpListener): Promise<Transport & AsyncDisposable> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-net", "tests/support/echo_child.ts", String(listener.port)],
  }).spawn();
  const transport = (await listener.accept())!;
  return Object.assign(transport, {
    async [Symbol.asyncDispose]() {
      transport.close();
      assertEquals((await child.status).success, true);
    },
  });
}

/** One message there and back. */
async function exchange(transport: Transport, bytes: Uint8Array): Promise<Uint8Array> {
  let sent = transport.writeNow!(bytes);
  const answer = new Uint8Array(bytes.length);
  const read = async () => {
    for (let at = 0; at < answer.length;) at += (await transport.read(answer.subarray(at)))!;
  };
  const reading = read();
  if (sent < bytes.length) {
    await transport.write(bytes.subarray(sent));
    sent = bytes.length;
  }
  await reading;
  return answer;
}

Deno.test("A polled connection carries bytes both ways, whatever the network takes at once", async () => {
  await using listener = pollConnections(listenTcp("127.0.0.1", 0));
  await using transport = await echoed(listener);
  const random = new Random(1);
  for (const length of [1, 1000, 100_000, 8_000_000, 3]) {
    const bytes = random.bytes(length);
    assertEquals(await exchange(transport, bytes), bytes);
  }
});

Deno.test("A peer that answers at once is polled for, not slept for", async () => {
  await using counted = listenTcp("127.0.0.1", 0);
  const { listener, reads } = counting(counted);
  await using transport = await echoed(listener);
  const message = new Uint8Array(100);
  const own = reads.get(transport.peer)!;
  // On a machine that is busy with other things few answers come at once: it may take several goes.
  const end = performance.now() + 20_000;
  for (let polled = 0; polled < 500;) {
    assert(performance.now() < end, `${polled} of 1000 answers were polled for`);
    const before = own.count;
    for (let i = 0; i < 1000; i++) await exchange(transport, message);
    polled = 1000 - (own.count - before);
  }
});

Deno.test("The event loop has its turn after a millisecond, however busy a connection is", async () => {
  await using counted = listenTcp("127.0.0.1", 0);
  const { listener, reads } = counting(counted);
  await using transport = await echoed(listener);
  const own = reads.get(transport.peer)!;
  const message = new Uint8Array(100);
  let overdue = 0;
  for (let i = 0; i < 3000; i++) {
    const { count, last } = own;
    const late = performance.now() > last + 1.1;
    await exchange(transport, message);
    if (!late) continue;
    overdue++;
    assert(own.count > count, "a read was polled for more than a millisecond after the last wait");
  }
  assert(overdue > 0);
});

Deno.test("Two connections that are heard in turns are both slept for", async () => {
  await using counted = listenTcp("127.0.0.1", 0);
  const { listener, reads } = counting(counted);
  await using one = await echoed(listener);
  await using two = await echoed(listener);
  const message = new Uint8Array(100);
  for (let i = 0; i < 500; i++) {
    await exchange(one, message);
    await exchange(two, message);
  }
  for (const [peer, { count }] of reads) assert(count > 450, `${peer}: ${count} of 500`);
});

Deno.test("A closed connection reads and writes nothing, whoever has its descriptor now", async () => {
  await using listener = pollConnections(listenTcp("127.0.0.1", 0));
  const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.port });
  const transport = (await listener.accept())!;
  assertEquals(transport.writeNow!(new Uint8Array(3)), 3);
  transport.close();
  const path = await Deno.makeTempFile();
  const next = await Deno.open(path, { write: true });
  try {
    assertEquals(transport.writeNow!(new Uint8Array(3)), 0);
    await assertRejects(() => transport.read(new Uint8Array(1)), LinkError, "closed on this side");
    assertEquals((await Deno.stat(path)).size, 0);
  } finally {
    next.close();
    client.close();
    await Deno.remove(path);
  }
});

Deno.test("writeNow() to a peer that is gone takes nothing; the write that follows says why", async () => {
  await using listener = pollConnections(listenTcp("127.0.0.1", 0));
  const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.port });
  await using transport = (await listener.accept())!;
  client.close();
  const bytes = new Uint8Array(1000);
  // The first may still find a connection: the reset is the answer to it.
  for (let i = 0; i < 100 && transport.writeNow!(bytes) > 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assertEquals(transport.writeNow!(bytes), 0);
  await assertRejects(() => transport.write(bytes), LinkError, `Cannot write to ${transport.peer}`);
});

Deno.test("On loopback what the host sends is not paced, whatever the system's default is", {
  ignore: !await hasSs(),
}, async () => {
  await using listener = pollConnections(listenTcp("127.0.0.1", 0));
  const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.port });
  await using transport = (await listener.accept())!;
  const { stdout } = await new Deno.Command("ss", {
    args: ["-Htni", "state", "established", "sport", "=", `:${listener.port}`],
  }).output();
  assertMatch(new TextDecoder().decode(stdout), / reno /, transport.peer);
  client.close();
});

Deno.test("The end of the stream is null", async () => {
  await using listener = pollConnections(listenTcp("127.0.0.1", 0));
  const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.port });
  await using transport = (await listener.accept())!;
  client.close();
  assertEquals(await transport.read(new Uint8Array(1)), null);
});

Deno.test("A connection by IPv6 is left as it is", async () => {
  await using counted = listenTcp("::1", 0);
  await using listener = pollConnections(counted);
  const client = await Deno.connect({ hostname: "::1", port: listener.port });
  await using transport = (await listener.accept())!;
  assertEquals(transport.writeNow, undefined);
  client.close();
});

Deno.test("Without FFI a listener is left as it is", {
  permissions: { net: true, ffi: false },
}, async () => {
  await using listener = listenTcp("127.0.0.1", 0);
  assertEquals(pollConnections(listener), listener);
});
