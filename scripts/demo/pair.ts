/**
 * A host and a card as two processes on loopback: started, followed and ended together.
 *
 * @module
 */
import { TextLineStream } from "@std/streams";
import { CommandError, EXIT, spawnTask, tell } from "../cli/mod.ts";

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
  /** Asks the host to leave in good order; the card is ended after it. */
  readonly signal?: AbortSignal;
  onEvent?(event: PairEvent): void;
}

/** A process that was asked to end and still runs after this time is killed, ms: longer than a host takes. */
const KILL_AFTER = 15_000;

export class Pair implements AsyncDisposable {
  readonly #host: PairProcess;
  readonly #card: PairProcess;
  readonly #processes: AsyncDisposableStack;

  private constructor(host: PairProcess, card: PairProcess, processes: AsyncDisposableStack) {
    this.#host = host;
    this.#card = card;
    this.#processes = processes;
  }

  /** Starts the host, then the card as soon as the host listens. @throws {CommandError} if the host does not start */
  static async start(options: PairOptions): Promise<Pair> {
    const { env, stdin, signal, onEvent = () => {} } = options;
    await using processes = new AsyncDisposableStack();
    const listening = Promise.withResolvers<number>();
    const host = processes.use(
      await PairProcess.start("host", options.host, {
        ...(env && { env }),
        stdin,
        stdout: "inherit",
      }, (event) => {
        if (event.type === "listening") listening.resolve(event["port"] as number);
        onEvent(event);
      }),
    );
    const stop = () => host.end();
    signal?.addEventListener("abort", stop);
    processes.defer(() => signal?.removeEventListener("abort", stop));
    if (signal?.aborted) stop();
    void host.ended.then((code) =>
      listening.reject(
        new CommandError(
          code || EXIT.failure,
          `Cannot start the host: ${host.lastWords || "it ended at once"}`,
        ),
      )
    );
    const connect = ["--connect", `127.0.0.1:${await listening.promise}`];
    const streams = { stdin: "null", stdout: "null" } as const;
    const card = processes.use(
      await PairProcess.start("card", [...options.card, ...connect], streams, onEvent),
    );
    return new Pair(host, card, processes.move());
  }

  /**
   * Exit status of the host, which ends first.
   * @throws {CommandError} if it was the card that ended, which nobody asked it to
   */
  async ended(): Promise<number> {
    const first = await Promise.race([
      this.#host.ended.then(() => this.#host),
      this.#card.ended.then(() => this.#card),
    ]);
    if (first === this.#host) return this.#host.ended;
    this.#host.end();
    const status = await this.#host.ended;
    const code = await this.#card.ended;
    // Ctrl-C ends both, and a card may be faster.
    if (code === EXIT.ok || code === EXIT.interrupted) return status;
    throw new CommandError(
      code,
      `Cannot go on without the card: ${this.#card.lastWords || `it ended with status ${code}`}`,
    );
  }

  /** Ends whichever of the two still runs, the card first: then the host has nothing to wait for. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes[Symbol.asyncDispose]();
  }
}

/** One of the two: its events, its other words, its end. */
class PairProcess implements AsyncDisposable {
  /** Exit status, 130 if a signal ended it; resolves when all that it said was heard. */
  readonly ended: Promise<number>;
  /** The last line that was no event. */
  lastWords = "";
  readonly #child: Deno.ChildProcess;
  readonly #end: PairEvent["end"];
  readonly #onEvent: (event: PairEvent) => void;

  private constructor(
    child: Deno.ChildProcess,
    end: PairEvent["end"],
    onEvent: (event: PairEvent) => void,
  ) {
    this.#child = child;
    this.#end = end;
    this.#onEvent = onEvent;
    this.ended = this.#follow();
  }

  static async start(
    end: PairEvent["end"],
    args: readonly string[],
    streams: Pick<Deno.CommandOptions, "env" | "stdin" | "stdout">,
    onEvent: (event: PairEvent) => void,
  ): Promise<PairProcess> {
    const child = await spawnTask(end, [...args, "--json"], { ...streams, stderr: "piped" });
    return new PairProcess(child, end, onEvent);
  }

  /** Asks it to end. */
  end(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended already.
    }
  }

  /** Ends it, if need be by force. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
    const timer = setTimeout(() => this.end("SIGKILL"), KILL_AFTER);
    await this.ended;
    clearTimeout(timer);
  }

  async #follow(): Promise<number> {
    const text = this.#child.stderr.pipeThrough(new TextDecoderStream());
    for await (const line of text.pipeThrough(new TextLineStream())) this.#heard(line);
    const { code, signal } = await this.#child.status;
    return signal === null ? code : EXIT.interrupted;
  }

  #heard(line: string): void {
    const event = line.startsWith('{"') ? eventOf(line, this.#end) : undefined;
    if (event !== undefined) return this.#onEvent(event);
    this.lastWords = line;
    tell(line);
  }
}

/** Undefined for a line that only looks like JSON. */
function eventOf(line: string, end: PairEvent["end"]): PairEvent | undefined {
  try {
    return { ...JSON.parse(line), end };
  } catch {
    return undefined;
  }
}
