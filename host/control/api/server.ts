/**
 * The control API on a UNIX socket, or on TCP for who has the token.
 *
 * The UNIX socket is its owner's alone (`unix_socket.ts`), and whoever reaches it may do everything. TCP carries the
 * token in the clear: beyond loopback it is refused, unless the caller insists.
 *
 * - **Invariant:** when disposing has resolved, no request is served, no event subscribed, and the socket is gone.
 *
 * @module
 */
import { BackendError, isLoopback } from "../../../protocol/mod.ts";
import { onUnixSocket } from "../../backends/unix_socket.ts";
import { HostMetrics } from "../../metrics/host_metrics.ts";
import type { HostControl } from "../card_control.ts";
import { controlApp } from "./app.ts";
import { ControlEvents } from "./events.ts";
import { bearer } from "./token.ts";

/** Where the API is. */
export type ControlAddress =
  | { readonly transport: "unix"; readonly path: string }
  | {
    readonly transport: "tcp";
    readonly hostname: string;
    readonly port: number;
    /** What every request must bring. */
    readonly token: string;
    /** Beyond loopback too. */
    readonly insecure?: boolean;
  };

export interface ControlServerOptions {
  readonly host: HostControl;
  readonly address: ControlAddress;
  /** Told of failures of ours; a request each. */
  readonly onError: (error: unknown) => void;
}

export class ControlServer implements AsyncDisposable {
  /** `/run/knightsbridge/host.sock` or `tcp:127.0.0.1:4311`, with the port that was really taken. */
  readonly name: string;
  readonly #server: Deno.HttpServer;
  /** What listens to the host. */
  readonly #listening: AsyncDisposableStack;
  readonly #stop: AbortController;

  private constructor(
    name: string,
    server: Deno.HttpServer,
    listening: AsyncDisposableStack,
    stop: AbortController,
  ) {
    this.name = name;
    this.#server = server;
    this.#listening = listening;
    this.#stop = stop;
  }

  /**
   * @throws {BackendError} when the address may not be used; with AddrInUse as its cause, when it is taken
   * @throws {RangeError} for a TCP address beyond loopback without `insecure`
   */
  static async start({ host, address, onError }: ControlServerOptions): Promise<ControlServer> {
    const stop = new AbortController();
    await using opened = new AsyncDisposableStack();
    const events = opened.use(new ControlEvents(host));
    const metrics = opened.use(new HostMetrics(host));
    const place = { name: "" };
    const app = controlApp({
      host,
      events,
      metrics,
      place,
      signal: stop.signal,
      onError,
      ...(address.transport === "tcp" && { admits: bearer(address.token) }),
    });
    // A body that cannot be sent on is no failure of ours: its reader went away, or was dropped.
    const common = { onListen() {}, onError: () => new Response(null, { status: 500 }) };
    if (address.transport === "unix") {
      const { path } = address;
      const act = `Cannot serve the control API on ${path}`;
      const server = await onUnixSocket(path, act, () => Deno.serve({ ...common, path }, app));
      place.name = path;
      return new ControlServer(path, server, opened.move(), stop);
    }
    const { hostname, port, insecure } = address;
    if (!isLoopback(hostname) && !insecure) {
      throw new RangeError(
        `Cannot serve the control API on ${hostname}: its token would cross the network in the clear; ` +
          `wanted 127.0.0.1, and "ssh -L" from elsewhere, or --insecure`,
      );
    }
    try {
      const server = Deno.serve({ ...common, hostname, port }, app);
      const { port: taken } = server.addr;
      place.name = `tcp:${hostname.includes(":") ? `[${hostname}]` : hostname}:${taken}`;
      return new ControlServer(place.name, server, opened.move(), stop);
    } catch (cause) {
      const text = `Cannot serve the control API on ${hostname}:${port}: ${
        (cause as Error).message
      }`;
      throw new BackendError(text, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException("The host is stopped", "AbortError"));
    await this.#listening[Symbol.asyncDispose]();
    await this.#server.shutdown();
  }
}
