/**
 * Console: from a key at the host to its echo from the card's OS, beside a byte there and back between two processes over
 * TCP, and beside a message there and back on the link alone.
 *
 * @module
 */
import { ConsoleDevice } from "../../host/devices/console.ts";
import { type Link, LinkServer, listenTcp, MESSAGE } from "../../protocol/mod.ts";
import { ConsoleEnd } from "./console_end.ts";
import { startCardProcess, startHost } from "./diag_card.ts";
import { type BenchContext, type Row, row } from "./figures.ts";
import { endProcess, startProgram } from "./processes.ts";

/** Of one round; the first, while code is compiled, does not count. */
const ECHOES = 1000;

type Echo = () => Promise<unknown>;

export async function consoleEcho({ quick }: BenchContext): Promise<Row[]> {
  await using owned = new AsyncDisposableStack();
  const ways: readonly (readonly [string, Echo])[] = [
    ["bridge", await keyboard(owned)],
    ["TCP", await tcp(owned)],
    ["link", await link(owned)],
  ];
  const samples = Object.fromEntries(ways.map(([name]) => [name, [] as number[]]));
  for (let round = 0; round <= (quick ? 3 : 9); round++) {
    for (const [name, echo] of ways) {
      const start = performance.now();
      for (let i = 0; i < ECHOES; i++) await echo();
      if (round > 0) samples[name]!.push((performance.now() - start) * 1000 / ECHOES);
    }
  }
  return [row("keystroke and its echo", "us", samples)];
}

async function keyboard(owned: AsyncDisposableStack): Promise<Echo> {
  const end = new ConsoleEnd();
  const device = owned.use(new ConsoleDevice([{ backend: end }]));
  await startCardProcess(startHost([device], "", owned), owned);
  await end.until("diag# ");
  // A line has an end; the card's answer to a key that clears it is one piece, too.
  let column = 0;
  return () => end.key(++column % 80 === 0 ? "\x15" : "k");
}

async function tcp(owned: AsyncDisposableStack): Promise<Echo> {
  const listener = owned.use(Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  startEcho("tcp", listener.addr.port, owned);
  const conn = owned.use(await listener.accept());
  conn.setNoDelay(true);
  const byte = new Uint8Array(1);
  return async () => {
    await conn.write(byte);
    await conn.read(byte);
  };
}

async function link(owned: AsyncDisposableStack): Promise<Echo> {
  let answered = Promise.withResolvers<void>();
  const up = Promise.withResolvers<Link>();
  const listener = owned.use(listenTcp("127.0.0.1", 0));
  const server = owned.use(
    new LinkServer({
      epoch: 1n,
      identity: crypto.getRandomValues(new Uint8Array(16)),
      accept: () => ({
        completer: {
          memoryWrite() {},
          memoryRead() {},
          configRead: () => 0,
          configWrite() {},
          ioRead: () => 0,
          ioWrite() {},
          message: () => answered.resolve(),
          batchEnd() {},
        },
      }),
      onLink: up.resolve,
    }),
  );
  startEcho("link", listener.port, owned);
  const served = server.serve((await listener.accept())!);
  const link = await up.promise;
  owned.defer(async () => {
    await link.close("shutdown");
    await served;
  });
  return async () => {
    answered = Promise.withResolvers();
    link.message(MESSAGE.post_code, 1);
    await answered.promise;
  };
}

function startEcho(kind: "tcp" | "link", port: number, owned: AsyncDisposableStack): void {
  const permissions = ["--allow-net=127.0.0.1"];
  const child = startProgram(new URL("echo_child.ts", import.meta.url), permissions, [
    ...[kind, String(port)],
  ]);
  owned.defer(async () => {
    await child.stdout.cancel();
    await endProcess(child);
  });
}
