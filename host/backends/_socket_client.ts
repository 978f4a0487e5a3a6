/**
 * One client of a listening console: bytes both ways, each as slow as the other end, until either hangs up.
 *
 * @module
 */
import { InputGate } from "./_input_gate.ts";
import { OutputBacklog } from "./output_backlog.ts";

const CHUNK = 16 * 1024;

export class SocketClient {
  /** Resolves when it has left, or was let go. */
  readonly ended: Promise<void>;
  readonly #conn: Deno.Conn;
  readonly #gate = new InputGate();
  readonly #backlog = new OutputBacklog(() => this.#wake());
  #connected = true;
  #wake: () => void = () => {};

  /** Takes over `conn`. `input` returns how many bytes were taken; the rest is offered after `resume`. */
  constructor(conn: Deno.Conn, input: (bytes: Uint8Array) => number) {
    this.#conn = conn;
    this.#backlog.attach();
    this.#gate.open({ input, resized() {} });
    const hangUp = () => this.hangUp();
    this.ended = Promise.all([this.#input().then(hangUp), this.#output().then(hangUp)])
      .then(() => {});
  }

  /** Resolves when there is room for more; until then `bytes` is not the caller's. */
  write(bytes: Uint8Array): void | Promise<void> {
    return this.#backlog.write(bytes);
  }

  resume(): void {
    this.#gate.resume();
  }

  /** Whether `write` waits for it at all. */
  set paced(on: boolean) {
    this.#backlog.paced = on;
  }

  hangUp(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#conn.close();
    this.#gate[Symbol.dispose]();
    this.#backlog[Symbol.dispose]();
    this.#wake();
  }

  async #input(): Promise<void> {
    const buffer = new Uint8Array(4096);
    try {
      for (;;) {
        const count = await this.#conn.read(buffer);
        if (count === null) return;
        await this.#gate.offer(buffer.subarray(0, count));
      }
    } catch {
      // Reset by the client, or closed by us.
    }
  }

  async #output(): Promise<void> {
    const chunk = new Uint8Array(CHUNK);
    try {
      while (this.#connected) {
        const count = this.#backlog.take(chunk);
        if (count === 0) await new Promise<void>((resolve) => this.#wake = resolve);
        for (let at = 0; at < count;) at += await this.#conn.write(chunk.subarray(at, count));
      }
    } catch {
      // Reset by the client, or closed by us.
    }
  }
}
