/**
 * A link as if between two towns: the delay proxy, a process of its own, between card and host.
 *
 * @module
 */
import { endProcess, linesOf, startProgram } from "./processes.ts";

export interface FarLink {
  /** Added each way, ms. */
  readonly delay: number;
  /** Bytes a second each way; as many as it can if not given. */
  readonly rate?: number;
}

/** Starts a proxy to `port`, which `owned` ends; resolves to the port of its near side. */
export async function farLink(
  port: number,
  { delay, rate }: FarLink,
  owned: AsyncDisposableStack,
): Promise<number> {
  const proxy = startProgram(
    new URL("../support/delay_proxy.ts", import.meta.url),
    ["--allow-net=127.0.0.1"],
    [port, delay, ...(rate === undefined ? [] : [rate])].map(String),
  );
  owned.defer(() => endProcess(proxy));
  const reader = linesOf(proxy.stdout).getReader();
  const { value } = await reader.read();
  owned.defer(() => reader.cancel());
  return Number(value);
}

/** A connection of plain sockets by the same way: what the link itself can do. */
export async function farSockets(
  link: FarLink,
  owned: AsyncDisposableStack,
): Promise<{ readonly card: Deno.TcpConn; readonly host: Deno.TcpConn }> {
  const listener = owned.use(Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const port = await farLink(listener.addr.port, link, owned);
  const [card, host] = await Promise.all([
    Deno.connect({ hostname: "127.0.0.1", port }),
    listener.accept(),
  ]);
  for (const conn of [card, host]) owned.use(conn).setNoDelay(true);
  return { card, host };
}
