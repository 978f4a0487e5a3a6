/**
 * A console hub behind a WebSocket on a UNIX socket, as the control API serves it, and clients of it.
 *
 * @module
 */
import type { AttachOptions, ConsoleHub } from "../../host/console/hub.ts";
import { SocketViewer } from "../../host/console/socket_viewer.ts";

/** Serves `hub` until disposed; each client is seated as `options` say, under the name of its path. */
export async function serveConsole(hub: ConsoleHub, options: AttachOptions) {
  const folder = await Deno.makeTempDir({ prefix: "kb-console-" });
  const path = `${folder}/socket`;
  const server = Deno.serve({ path, onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    new SocketViewer(socket, hub, { ...options, name: new URL(request.url).pathname.slice(1) });
    return response;
  });
  return {
    dial: (name: string) => SocketConsole.dial(path, `/${name}`),
    /** A client whose handshake is done, and which reads nothing more. */
    async dialRaw(name: string): Promise<Deno.Conn> {
      const conn = await Deno.connect({ transport: "unix", path });
      const request = [
        `GET /${name} HTTP/1.1`,
        ...["Host: localhost", "Upgrade: websocket", "Connection: Upgrade"],
        ...["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", ""],
      ];
      await conn.write(new TextEncoder().encode(request.join("\r\n")));
      await conn.read(new Uint8Array(12));
      return conn;
    },
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** One client: what it was shown and told, and why it was closed. */
export class SocketConsole implements AsyncDisposable {
  text = "";
  bytes = 0;
  readonly notices: string[] = [];
  readonly closed: Promise<CloseEvent>;
  readonly #socket: WebSocket;
  readonly #client: Deno.HttpClient;
  readonly #keep: boolean;
  #waiting: (() => void)[] = [];

  private constructor(socket: WebSocket, client: Deno.HttpClient, keep: boolean) {
    this.#socket = socket;
    this.#client = client;
    this.#keep = keep;
    socket.binaryType = "arraybuffer";
    const text = new TextDecoder();
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.notices.push(JSON.parse(data).notice);
      else {
        this.bytes += data.byteLength;
        if (this.#keep) this.text += text.decode(data, { stream: true });
      }
      for (const wake of this.#waiting.splice(0)) wake();
    };
    this.closed = new Promise((resolve) => socket.onclose = resolve);
  }

  /** Resolves when it is seated. `keep`: its text is kept. */
  static async dial(path: string, resource: string, keep = true): Promise<SocketConsole> {
    const client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    const socket = new WebSocket(`ws://localhost${resource}`, { client });
    const opened = Promise.withResolvers<void>();
    socket.onopen = () => opened.resolve();
    socket.onerror = (event) => opened.reject(new Error((event as ErrorEvent).message));
    const console = new SocketConsole(socket, client, keep);
    await opened.promise;
    return console;
  }

  type(text: string): void {
    this.#socket.send(new TextEncoder().encode(text));
  }
  say(words: unknown): void {
    this.#socket.send(typeof words === "string" ? words : JSON.stringify(words));
  }

  /** Resolves when `met`, asked after every message. */
  async until(met: () => boolean): Promise<void> {
    while (!met()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
  shows(pattern: RegExp): Promise<void> {
    return this.until(() => pattern.test(this.text));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.closed;
    this.#client.close();
  }
}
