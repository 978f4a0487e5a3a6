/**
 * A shell in the card, one command after the other, each with its output and its status: for a test that has something to
 * do on the host in between.
 *
 * @module
 */
import { LabConsole } from "./lab_console.ts";

export interface Answer {
  /** Both outputs. */
  readonly output: string;
  readonly status: number;
}

export class LabShell implements AsyncDisposable {
  readonly #console: LabConsole;
  #commands = 0;

  private constructor(console: LabConsole) {
    this.#console = console;
  }

  /** On the card whose host has `--console unix:PATH`; resolves when the card is up. */
  static async open(path: string): Promise<LabShell> {
    const console = LabConsole.socket(await Deno.connect({ transport: "unix", path }));
    await console.shows(/# /);
    // A shell whose errors go to no terminal has no prompt and no line editing.
    await console.type("stty -echo -onlcr; sh 2>&1 | cat\r");
    const shell = new LabShell(console);
    // What the kernel says is shown on the console, too, and would be taken for a command's output.
    await shell.run("dmesg -n 1");
    return shell;
  }

  /** At most 4000 bytes, which is what a terminal takes for a line. */
  async run(command: string): Promise<Answer> {
    const from = this.#console.text.length;
    const end = new RegExp(`end ${++this.#commands} (\\d+)\n`);
    await this.#console.type(`{ ${command}; } </dev/null; echo end ${this.#commands} $?\n`);
    await this.#console.shows(end);
    const text = this.#console.text.slice(from);
    const [all, status] = end.exec(text)!;
    return { output: text.slice(0, text.indexOf(all)), status: Number(status) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#console[Symbol.asyncDispose]();
  }
}
