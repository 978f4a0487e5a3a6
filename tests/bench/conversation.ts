/**
 * A program of a benchmark that is asked for one thing after the other: a line of JSON in, a line of JSON out.
 *
 * @module
 */
import { endProcess, linesOf } from "./processes.ts";

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** The end that asks. The program is ended when this is disposed. */
export class Conversation implements AsyncDisposable {
  readonly #name: string;
  readonly #process: Deno.ChildProcess;
  readonly #questions: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;

  /** Starts `file` beside this one. */
  constructor(file: string, permissions: readonly string[], args: readonly string[] = []) {
    this.#name = file;
    const path = new URL(file, import.meta.url).pathname;
    this.#process = new Deno.Command("deno", {
      args: ["run", "--config", CONFIG, ...permissions, path, ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#questions = this.#process.stdin.getWriter();
    this.#answers = linesOf(this.#process.stdout).getReader();
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** One question at a time. @throws {Error} if the program ends instead of answering */
  async ask<A>(question: unknown): Promise<A> {
    const ended = () => new Error(`Cannot go on: ${this.#name} has ended`);
    await this.#questions.write(new TextEncoder().encode(`${JSON.stringify(question)}\n`))
      .catch(() => Promise.reject(ended()));
    const { value, done } = await this.#answers.read();
    if (done) throw ended();
    return JSON.parse(value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endProcess(this.#process);
    await this.#questions.abort().catch(() => {});
    await this.#answers.cancel();
  }
}

/** The end that answers, until nobody asks any more. */
export async function converse<Q>(answer: (question: Q) => Promise<unknown>): Promise<void> {
  for await (const line of linesOf(Deno.stdin.readable)) {
    console.log(JSON.stringify(await answer(JSON.parse(line))));
  }
}
