/**
 * ctl as its user has it: the task of deno.json, its two outputs and its exit status.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { taskArguments } from "../../scripts/cli/tasks.ts";

export interface CtlResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Ctl {
  /** What `--control` says. */
  readonly control: string;
  readonly #env: Readonly<Record<string, string>>;

  constructor(control: string, env: Readonly<Record<string, string>> = {}) {
    this.control = control;
    this.#env = env;
  }

  async run(...words: string[]): Promise<CtlResult> {
    const task = await taskArguments("ctl", this.#env);
    const { code, stdout, stderr } = await new Deno.Command("deno", {
      args: [...task, "--control", this.control, ...words],
      cwd: new URL("../../", import.meta.url).pathname,
      env: this.#env,
    }).output();
    const text = new TextDecoder();
    return { status: code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
  }

  /** Its output; fails unless it ended with `status`. */
  async says(status: number, ...words: string[]): Promise<string> {
    const result = await this.run(...words);
    assertEquals(result.status, status, `ctl ${words.join(" ")}: ${JSON.stringify(result)}`);
    return result.stdout + result.stderr;
  }

  // deno-lint-ignore no-explicit-any -- what a verb answers is the test's to know
  async json(...words: string[]): Promise<any> {
    return JSON.parse(await this.says(0, ...words, "--json"));
  }
}
