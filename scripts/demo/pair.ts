/**
 * A host and a card as two processes on loopback: started, followed and ended together.
 *
 * @module
 */
import { TextLineStream } from "@std/streams";
import { CommandError, EXIT, spawnTask } from "../cli/mod.ts";

/** An event line of `--json`; its `type` says which fields it has. */
export interface PairEvent {
  readonly end: "host" | "card";
  readonly type: string;
  readonly time?: number;
  readonly [field: string]: unknown;
}

export interface PairOptions {
  /** Arguments of the two tasks; `--json` and `--connect` are added. */
  readonly host: readonly string[];
  readonly card: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The host's standard input. */
  readonly stdin: "inherit" | "null";
  /** The host's standard output, inherited by default. */
  readonly stdout?: "inherit" | "piped";
  onEvent?(event: PairEvent): void;
}

export class Pair implements AsyncDisposable {
  readonly host: Deno.ChildProcess;
  /** Exit status of the host, which ends first; the card is ended after it. */
  readonly ended: Promise<number>;
  readonly #card: Deno.ChildProcess;
  readonly #reading: readonly Promise<void>[];

  private constructor(
    host: Deno.ChildProcess,
    card: Deno.ChildProcess,
    reading: readonly Promise<void>[],
  ) {
    this.host = host;
    this.#card = card;
    this.#reading = reading;
    this.ended = host.status.then((status) =>
      status.signal === null ? status.code : EXIT.interrupted
    );
  }

  /** Starts the host, then the card as soon as the host listens. @throws {CommandError} if the host does not start */
  static async start(options: PairOptions): Promise<Pair> {
    const { env, stdin, stdout = "inherit", onEvent = () => {} } = options;
    const host = await spawnTask("host", [...options.host, "--json"], {
      ...(env && { env }),
      stdin,
      stdout,
      stderr: "piped",
    });
    const listening = Promise.withResolvers<number>();
    let lastWords = "";
    const reading = readEvents(host.stderr, "host", (event) => {
      if (event.type === "listening") listening.resolve(event["port"] as number);
      onEvent(event);
    }, (line) => {
      lastWords = line;
      console.error(line);
    });
    void host.status.then(({ code }) =>
      listening.reject(
        new CommandError(
          code || EXIT.failure,
          `Cannot start the host: ${lastWords || "it ended at once"}`,
        ),
      )
    );
    const port = await listening.promise;
    const card = await spawnTask("card", [
      ...options.card,
      "--connect",
      `127.0.0.1:${port}`,
      "--json",
    ], {
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    });
    const readingCard = readEvents(card.stderr, "card", onEvent, (line) => console.error(line));
    return new Pair(host, card, [reading, readingCard]);
  }

  /** Ends whichever of the two still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of [this.host, this.#card]) {
      try {
        child.kill("SIGTERM");
      } catch {
        // It has ended already.
      }
    }
    await Promise.all([this.host.status, this.#card.status, ...this.#reading]);
  }
}

async function readEvents(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  end: "host" | "card",
  onEvent: (event: PairEvent) => void,
  onText: (line: string) => void,
): Promise<void> {
  const lines = stream.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
  for await (const line of lines) {
    if (line.startsWith("{")) onEvent({ ...JSON.parse(line), end });
    else onText(line);
  }
}
