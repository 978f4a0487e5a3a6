/**
 * How fast a bare link is: 4 KiB memory reads over loopback TCP between two processes, at depth 1 and 32, and the
 * data path's own pattern, a posted request answered by a posted write.
 *
 *     deno run --allow-net --allow-run=deno --allow-read tests/bench/link_ping.ts [seconds per row]
 *
 * At depth 1 the figure is mostly the price of waking the other process, and has two values by where the scheduler
 * puts the two: run it a few times.
 *
 * @module
 */
import {
  type Completer,
  dialLink,
  dialTcp,
  type Link,
  LinkServer,
  listenTcp,
  MESSAGE,
} from "../../protocol/mod.ts";

const BLOCK = 4096;
const memory = new Uint8Array(1 << 20);

/** One megabyte of memory; what else is asked for is up to the message handler. */
function completer(onMessage: (a: number) => void): Completer {
  return {
    memoryWrite: (address, bytes) => memory.set(bytes, address),
    memoryRead: (address, into) => into.set(memory.subarray(address, address + into.length)),
    configRead: () => 0,
    configWrite() {},
    ioRead: () => 0,
    ioWrite() {},
    message: (_code, a) => onMessage(a),
    batchEnd() {},
  };
}

const identity = () => crypto.getRandomValues(new Uint8Array(16));

/** Child process: answers a message with 4 KiB and a message, as a block device does. */
async function serve(port: number): Promise<void> {
  const stop = new AbortController();
  const spans = [{ address: 0, length: BLOCK }];
  const link: Link = dialLink(
    (signal) => dialTcp("127.0.0.1", port, signal),
    {
      role: "card",
      identity: identity(),
      completer: completer((a) => {
        link.openWrite(spans).set(memory.subarray(0, BLOCK));
        link.message(MESSAGE.msi, a);
      }),
    },
    stop.signal,
  );
  await link.closed;
}

async function measure(
  name: string,
  depth: number,
  seconds: number,
  once: (worker: number) => Promise<unknown>,
): Promise<void> {
  let count = 0;
  const end = performance.now() + seconds * 1000;
  const start = performance.now();
  await Promise.all(Array.from({ length: depth }, async (_, worker) => {
    while (performance.now() < end) {
      await once(worker);
      count++;
    }
  }));
  const rate = count / (performance.now() - start) * 1000;
  console.log(`${name.padEnd(34)} depth ${String(depth).padStart(2)}  ${rate.toFixed(0)}/s`);
}

async function main(seconds: number): Promise<void> {
  const waiting: PromiseWithResolvers<void>[] = [];
  const up = Promise.withResolvers<Link>();
  await using listener = listenTcp("127.0.0.1", 0);
  await using server = new LinkServer({
    epoch: 1n,
    identity: identity(),
    accept: () => ({ completer: completer((a) => waiting[a]!.resolve()) }),
    onLink: up.resolve,
  });
  const child = new Deno.Command("deno", {
    args: ["run", "--allow-net", import.meta.filename!, "--child", String(listener.port)],
  }).spawn();
  const served = server.serve((await listener.accept())!);
  const link = await up.promise;
  const read = () => link.memoryRead(0, BLOCK);
  const posted = (worker: number) => {
    const waiter = waiting[worker] = Promise.withResolvers<void>();
    link.message(MESSAGE.post_code, worker);
    return waiter.promise;
  };
  await measure("warm-up", 32, 1, read);
  for (const depth of [1, 32]) {
    await measure("memory read, 4 KiB", depth, seconds, read);
    await measure("posted request, 4 KiB posted back", depth, seconds, posted);
  }
  const large = () => link.memoryRead(0, 1 << 20);
  await measure("memory read, 1 MiB", 4, seconds, large);
  await link.close("shutdown");
  await served;
  await child.status;
}

if (Deno.args[0] === "--child") await serve(Number(Deno.args[1]));
else await main(Number(Deno.args[0] ?? 2));
