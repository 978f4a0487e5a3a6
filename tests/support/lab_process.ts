/**
 * One process of a lab: a task of deno.json with exactly its permissions, everything it says kept, and an end to it.
 *
 * Whoever waits here waits for something the process says or does. If that never comes the test's time limit ends the
 * process, and the error shows what it said.
 *
 * @module
 */
import { TextLineStream } from "@std/streams";
import { taskArguments } from "../../scripts/cli/tasks.ts";

/** An event line of `--json`. */
export interface LabEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface LabProcessOptions {
  /** Words before `deno`: `ip netns exec NAME`. */
  readonly within?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** It does not live longer than this, ms: 90 s if absent. */
  readonly limit?: number;
}

const ROOT = new URL("../../", import.meta.url).pathname;
/** No process of a test lives this long, ms; one of a soak may. */
const LIMIT = 90_000;

interface Waiter {
  /** Looks again; true when it has what it wanted. */
  look(): boolean;
  fail(error: Error): void;
}

export class LabProcess implements AsyncDisposable {
  /** Everything so far. */
  readonly events: LabEvent[] = [];
  /** Lines on stderr that are no events. */
  readonly lines: string[] = [];
  stdout = "";
  /** Resolves when it has ended and all it said is here: its exit status, or 128 and the signal's name. */
  readonly ended: Promise<number | string>;
  readonly #name: string;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiters = new Set<Waiter>();
  readonly #timer: ReturnType<typeof setTimeout>;
  #over = false;
  #goesOn: Promise<void> = Promise.resolve();
  #goOn: () => void = () => {};

  private constructor(name: string, child: Deno.ChildProcess, limit: number) {
    this.#name = name;
    this.#child = child;
    this.#stdin = child.stdin.getWriter();
    this.ended = this.#follow();
    this.#timer = setTimeout(() => this.#late(limit), limit);
  }

  /** Starts task `task` of deno.json with `args` behind its own. */
  static async start(
    task: string,
    args: readonly string[],
    options: LabProcessOptions = {},
  ): Promise<LabProcess> {
    const words = await taskArguments(task, options.env);
    // One of many hosts on this machine: it has no control socket, or one of its own.
    const control = task === "host" && !args.includes("--control") ? ["--control", "none"] : [];
    return LabProcess.run(task, ["deno", ...words, ...args, ...control], { cwd: ROOT, ...options });
  }

  /** Starts `words`, a program and its arguments, which `name` stands for in messages. */
  static run(
    name: string,
    words: readonly string[],
    { within = [], env, cwd, limit = LIMIT }: LabProcessOptions & { readonly cwd?: string } = {},
  ): LabProcess {
    const [program, ...args] = [...within, ...words];
    const child = new Deno.Command(program!, {
      args,
      ...(cwd !== undefined && { cwd }),
      ...(env && { env }),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new LabProcess(name, child, limit);
  }

  /** The first event for which `match` holds, from the `from`th on; it may have come already. */
  event(match: (event: LabEvent) => boolean, from = 0): Promise<LabEvent> {
    return this.#until("an event", () => this.events.slice(from).find(match));
  }

  /** The first match in stdout. */
  output(pattern: RegExp): Promise<RegExpExecArray> {
    return this.found(`${pattern} on stdout`, (stdout) => pattern.exec(stdout) ?? undefined);
  }

  /** What `find` makes of stdout, as soon as it makes something of it; `what` is for the error if it never does. */
  found<T>(what: string, find: (stdout: string) => T | undefined): Promise<T> {
    return this.#until(what, () => find(this.stdout));
  }

  /** The first line on stderr that matches. */
  line(pattern: RegExp): Promise<string> {
    return this.#until(`${pattern} on stderr`, () => this.lines.find((line) => pattern.test(line)));
  }

  /** Nothing more is read of its stdout until what this returns is called. */
  holdOutput(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#goesOn = promise;
    return this.#goOn = resolve;
  }

  /** Types `text` on stdin. */
  async type(text: string): Promise<void> {
    await this.#stdin.write(new TextEncoder().encode(text));
  }

  get pid(): number {
    return this.#child.pid;
  }

  kill(signal: Deno.Signal): void {
    if (!this.#over) this.#child.kill(signal);
  }

  /** What it said, for the message of a failed test. */
  transcript(): string {
    const events = this.events.filter((event) => !isMinor(event)).map((e) => JSON.stringify(e));
    return [`${this.#name} said:`, ...events, ...this.lines, "stdout:", this.stdout].join("\n");
  }

  /** Ends it, if it has not ended, as Ctrl-C in a service manager would. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#goOn();
    this.kill("SIGTERM");
    await this.ended;
    clearTimeout(this.#timer);
    await this.#stdin.abort().catch(() => {});
  }

  async #follow(): Promise<number | string> {
    await Promise.all([this.#readOutput(), this.#readLines()]);
    const { code, signal } = await this.#child.status;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#look();
    for (const waiter of this.#waiters) waiter.fail(new Error("it has ended"));
    return signal ?? code;
  }

  async #readOutput(): Promise<void> {
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      this.stdout += text;
      this.#look();
      await this.#goesOn;
    }
  }

  async #readLines(): Promise<void> {
    const text = this.#child.stderr.pipeThrough(new TextDecoderStream());
    for await (const line of text.pipeThrough(new TextLineStream())) {
      if (line.startsWith('{"')) this.events.push(JSON.parse(line));
      else this.lines.push(line);
      this.#look();
    }
  }

  #until<T>(what: string, find: () => T | undefined): Promise<T> {
    const found = find();
    if (found !== undefined) return Promise.resolve(found);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const fail = ({ message }: Error) =>
      reject(new Error(`Waited for ${what}, but ${message}\n${this.transcript()}`));
    if (this.#over) fail(new Error("it has ended"));
    else {
      const look = () => {
        const value = find();
        if (value === undefined) return false;
        resolve(value);
        return true;
      };
      this.#waiters.add({ look, fail });
    }
    return promise;
  }

  #look(): void {
    for (const waiter of this.#waiters) {
      if (waiter.look()) this.#waiters.delete(waiter);
    }
  }

  #late(limit: number): void {
    for (const waiter of this.#waiters) waiter.fail(new Error(`${limit / 1000} s are over`));
    this.#waiters.clear();
    console.error(`${this.#name}: ended by the test after ${limit / 1000} s`);
    this.kill("SIGKILL");
    this.#goOn();
  }
}

/** Events that come by the dozen and tell a reader little. */
function isMinor({ event }: LabEvent): boolean {
  const { type } = (event ?? {}) as Partial<LabEvent>;
  return type === "progress" || type === "post_code";
}
