/**
 * Somebody at one of the card's consoles: reads along, types, waits for words.
 *
 * @module
 */

export class LabConsole implements AsyncDisposable {
  /** Everything shown so far. */
  text = "";
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  readonly #leave: () => Promise<void>;
  #waiting: (() => void)[] = [];
  #over = false;
  #goesOn: Promise<void> = Promise.resolve();
  #goOn: () => void = () => {};

  private constructor(
    readable: ReadableStream<Uint8Array<ArrayBuffer>>,
    writable: WritableStream<Uint8Array>,
    leave: () => Promise<void>,
  ) {
    this.#writer = writable.getWriter();
    this.#leave = leave;
    this.#reading = this.#read(readable);
  }

  /** A client of a listening console. */
  static socket(conn: Deno.Conn): LabConsole {
    return new LabConsole(conn.readable, conn.writable, () => {
      try {
        conn.close();
      } catch {
        // The stream closed it when the host did.
      }
      return Promise.resolve();
    });
  }

  /**
   * A terminal program on a pseudoterminal. It is two processes, so that no terminal can become the controlling one of
   * the test's own.
   */
  static terminal(path: string): LabConsole {
    const cat = (redirected: string) => ["-c", `exec cat ${redirected} "$0"`, path];
    const reader = new Deno.Command("sh", { args: cat("<"), stdout: "piped", stdin: "null" })
      .spawn();
    const writer = new Deno.Command("sh", { args: cat(">"), stdin: "piped" }).spawn();
    return new LabConsole(reader.stdout, writer.stdin, async () => {
      for (const child of [reader, writer]) {
        try {
          child.kill("SIGTERM");
        } catch {
          // The terminal hung up, and it ended.
        }
        await child.status;
      }
    });
  }

  /** Resolves when what is shown matches. @throws {Error} with what was shown last, if the console closes before */
  async shows(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) {
      if (this.#over) {
        throw new Error(
          `Waited for ${pattern}, but the console closed:\n${this.text.slice(-2000)}`,
        );
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Reads nothing more until what this returns is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#goesOn = promise;
    return this.#goOn = resolve;
  }

  async type(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#goOn();
    await this.#leave();
    await this.#reading;
    await this.#writer.abort().catch(() => {});
  }

  async #read(readable: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    try {
      for await (const text of readable.pipeThrough(new TextDecoderStream())) {
        this.text += text;
        this.#look();
        await this.#goesOn;
      }
    } catch {
      // Reset by the host, or closed by us.
    }
    this.#over = true;
    this.#look();
  }

  #look(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
