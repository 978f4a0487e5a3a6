/**
 * The host's end of a card's console, in the benchmark's own hands: a key down, and what the card shows.
 *
 * @module
 */
import type { ConsoleBackend, ConsoleEvents } from "../../host/backends/types.ts";

export class ConsoleEnd implements ConsoleBackend {
  readonly name = "benchmark";
  readonly size = undefined;
  /** All that the card has shown. */
  text = "";
  #events: ConsoleEvents | undefined;
  #shown = Promise.withResolvers<void>();

  /** Types one character; resolves when the card has shown something. */
  async key(key: string): Promise<void> {
    const shown = this.#shown.promise;
    this.#events!.input(new TextEncoder().encode(key));
    await shown;
  }

  /** Resolves when the card's text ends with `text`. */
  async until(text: string): Promise<void> {
    while (!this.text.endsWith(text)) await this.#shown.promise;
  }

  write(bytes: Uint8Array): void {
    this.text += new TextDecoder().decode(bytes);
    const shown = this.#shown;
    this.#shown = Promise.withResolvers();
    shown.resolve();
  }

  open(events: ConsoleEvents): void {
    this.#events = events;
  }

  resume(): void {}

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
