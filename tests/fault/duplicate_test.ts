// A connection that is made twice: somebody recorded what a card said, and says it again.
import { assertEquals } from "@std/assert";
import { toBytes } from "@std/streams";
import { GREETING } from "../../protocol/link/greeting.ts";
import { DiagBench, type DiagBenchOptions } from "../support/diag_bench.ts";

const GOODBYE = 0x01;
const BUSY = 7;

/** A bench, and all that its card has sent on each of its connections. */
async function recorded(options: DiagBenchOptions = {}) {
  const said: number[][] = [[]];
  const bench = await DiagBench.start({
    ...options,
    onBytes: (direction, bytes) => {
      if (direction === "cardToHost") said.at(-1)!.push(...bytes);
    },
  });
  return {
    bench,
    said: said as readonly (readonly number[])[],
    /** The card's connection breaks; it makes the next one and goes on. */
    async reconnect(): Promise<void> {
      bench.proxy.cut();
      said.push([]);
      await bench.work(5);
    },
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

/** Says `bytes` to the host on a connection of its own; all that comes back until it is closed. */
async function replay(bench: DiagBench, bytes: readonly number[]): Promise<Uint8Array> {
  const conn = await Deno.connect(bench.host.address);
  const answer = toBytes(conn.readable);
  try {
    for (let at = 0; at < bytes.length;) at += await conn.write(Uint8Array.from(bytes.slice(at)));
    await conn.closeWrite();
  } catch {
    // The host has hung up before it heard all.
  }
  return await answer.catch(() => new Uint8Array());
}

Deno.test("a replayed connection is refused while the card is there, and the card hears nothing of it", async () => {
  await using run = await recorded();
  const { bench, said } = run;
  await run.reconnect();
  const before = [bench.hostLinks.length, bench.cardLinks.length];
  // The first is a greeting that asks for a session, the second one that claims the session that is.
  for (const [n, bytes] of said.entries()) {
    for (const part of [bytes, bytes.slice(0, GREETING.size)]) {
      const working = bench.work(20);
      const answer = await replay(bench, part);
      assertEquals([...answer.subarray(0, 2)], [GOODBYE, BUSY], `connection ${n}`);
      await working;
    }
  }
  assertEquals(bench.refusals.map(({ reason }) => reason), Array(4).fill("busy"));
  assertEquals([bench.hostLinks.length, bench.cardLinks.length], before);
  assertEquals([bench.proxy.connections, bench.machines.length], [2, 1]);
});

Deno.test("a replayed encrypted connection is worth nothing, also when the card's own has died", async () => {
  await using run = await recorded({ tls: true });
  const { bench, said } = run;
  await run.reconnect();
  for (const bytes of said) {
    await replay(bench, bytes);
    await bench.work(5);
  }
  const sessions = bench.hostLinks.length;
  const away = bench.proxy.refuse(2);
  bench.proxy.cut();
  await bench.until(() => bench.hostLinks.at(-1)?.type === "lost" || undefined);
  for (const bytes of said) await replay(bench, bytes);
  await away;
  await bench.work(5);
  // Lost, and back: of the replays the link has seen nothing.
  assertEquals(bench.hostLinks.slice(sessions).map(({ type }) => type), ["lost", "up"]);
  assertEquals([bench.refusals.length, bench.machines.length], [0, 1]);
});
