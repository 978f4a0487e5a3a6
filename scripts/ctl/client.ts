/**
 * The control API from the other end: requests over a UNIX socket or TCP, and its problems as errors for people.
 *
 * Kept lean, as ctl is to answer at once: nothing is loaded here that a command does not need.
 *
 * @module
 */
import type { ControlPlace } from "../cli/control_place.ts";
import { CommandError, EXIT } from "../cli/errors.ts";

/** What a problem of the API means to a command. */
const EXIT_OF: Readonly<Record<number, number>> = {
  400: EXIT.usage,
  401: EXIT.refused,
  404: EXIT.usage,
  408: EXIT.card,
  409: EXIT.card,
  503: EXIT.resource,
};

export interface Request {
  readonly method?: "GET" | "POST" | "PATCH" | "DELETE";
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

export class ControlClient implements Disposable {
  readonly #client: Deno.HttpClient;
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #place: ControlPlace;

  private constructor(
    place: ControlPlace,
    client: Deno.HttpClient,
    base: string,
    headers: Readonly<Record<string, string>>,
  ) {
    this.#place = place;
    this.#client = client;
    this.#base = base;
    this.#headers = headers;
  }

  /** Connects with the first request. @throws {CommandError} when the socket is another user's, or there is no token */
  static async open(place: ControlPlace): Promise<ControlClient> {
    if (place.transport === "unix") {
      const { path } = place;
      await checkOwner(path);
      const client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
      return new ControlClient(place, client, "http://localhost", {});
    }
    const { controlToken } = await import("../cli/control_token.ts");
    const token = await controlToken();
    if (token === undefined) {
      throw new CommandError(
        EXIT.refused,
        "Cannot speak to a host over TCP: there is no control token; copy control-token from the " +
          "host's configuration folder (~/.config/knightsbridge) to this one's",
      );
    }
    const name = place.hostname.includes(":") ? `[${place.hostname}]` : place.hostname;
    const base = `http://${name}:${place.port}`;
    return new ControlClient(place, Deno.createHttpClient({}), base, {
      authorization: `Bearer ${token}`,
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  /** The answer's JSON. @throws {CommandError} with the problem's sentence */
  async json<T>(path: string, request: Request = {}): Promise<T> {
    return await (await this.#fetch(path, request)).json();
  }

  async text(path: string, request: Request = {}): Promise<string> {
    return await (await this.#fetch(path, request)).text();
  }

  /** The answer's lines as they come. @throws the signal's reason, whenever it is aborted */
  async *lines(path: string, request: Request = {}): AsyncGenerator<string> {
    const { signal } = request;
    const { body } = await this.#fetch(path, request);
    if (body === null) return;
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    // A request's signal ends its body only as long as nobody has collected its Response (Deno 2.9.6).
    const abort = () => void reader.cancel().catch(() => {});
    signal?.addEventListener("abort", abort, { once: true });
    let rest = "";
    try {
      for (;;) {
        const { value, done } = await reader.read();
        signal?.throwIfAborted();
        if (done) return;
        const lines = (rest + value).split("\n");
        rest = lines.pop()!;
        yield* lines;
      }
    } catch (cause) {
      signal?.throwIfAborted();
      throw this.#unreachable(cause, "has gone");
    } finally {
      signal?.removeEventListener("abort", abort);
      abort();
    }
  }

  /** A WebSocket that is being opened: whether it could be, and why not, it says when it closes. */
  socket(path: string): WebSocket {
    const url = `${this.#base.replace(/^http/, "ws")}${path}`;
    return new WebSocket(url, { client: this.#client, headers: { ...this.#headers } });
  }

  async #fetch(path: string, { method = "GET", body, signal }: Request): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(`${this.#base}${path}`, {
        client: this.#client,
        method,
        headers: {
          ...this.#headers,
          ...(body !== undefined && { "content-type": "application/json" }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        ...(signal && { signal }),
      });
    } catch (cause) {
      signal?.throwIfAborted();
      throw this.#unreachable(cause, "does not answer");
    }
    if (response.ok) return response;
    throw await problem(response);
  }

  #unreachable(cause: unknown, what: string): CommandError {
    const place = placeName(this.#place);
    return new CommandError(
      EXIT.resource,
      `Cannot speak to a host: ${
        what === "has gone" ? `the one at ${place} has gone` : `none is at ${place}`
      }; ` +
        `start one with "deno task host", or say where it is with --control`,
      { cause },
    );
  }
}

const placeName = (place: ControlPlace): string =>
  place.transport === "unix" ? place.path : `${place.hostname}:${place.port}`;

/** Who could put a socket in the place of the host's would get what is meant for it. */
async function checkOwner(path: string): Promise<void> {
  const { uid } = await Deno.stat(path).catch(() => ({ uid: null }));
  const user = Deno.uid();
  if (uid === null || uid === user || uid === 0 || user === 0) return;
  throw new CommandError(
    EXIT.refused,
    `Cannot trust ${path}: it belongs to user ${uid}, and this is user ${user}; run as that user`,
  );
}

async function problem(response: Response): Promise<CommandError> {
  const text = await response.text();
  let detail = `the host answered ${response.status}`;
  try {
    detail = JSON.parse(text).detail ?? detail;
  } catch {
    // Whatever answers there is no host of ours: the status has to do.
  }
  return new CommandError(EXIT_OF[response.status] ?? EXIT.failure, detail);
}
