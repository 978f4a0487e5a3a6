/**
 * Input on its way to the card, which takes as much as it has buffers for. The source reads on when all is taken, so
 * the back-pressure reaches whoever types.
 *
 * @module
 */
import type { ConsoleEvents } from "./types.ts";

/** One source of input and one card. */
export class InputGate implements Disposable {
  #events: ConsoleEvents | undefined;
  #resumed: (() => void) | undefined;
  #hasRoom = true;
  #dropping = false;
  #closed = false;

  /** Where input goes; before this it waits. */
  open(events: ConsoleEvents): void {
    this.#events = events;
    this.resume();
  }

  /** The card has room again. */
  resume(): void {
    this.#hasRoom = true;
    const resumed = this.#resumed;
    this.#resumed = undefined;
    resumed?.();
  }

  /** Undefined or a promise resolved: the card took all, or the gate is closed. One call at a time. */
  offer(bytes: Uint8Array): void | Promise<void> {
    const rest = this.#pass(bytes);
    return rest.length === 0 ? undefined : this.#passLater(rest);
  }

  /** The source is gone: what the card has not taken yet is dropped, and `offer` resolves. */
  drop(): void {
    this.#dropping = this.#resumed !== undefined;
    this.resume();
  }

  /** Terminal size, in characters. */
  resized(columns: number, rows: number): void {
    this.#events?.resized(columns, rows);
  }

  /** Whatever is not taken by now is dropped. */
  [Symbol.dispose](): void {
    this.#events = undefined;
    this.#closed = true;
    this.resume();
  }

  #pass(bytes: Uint8Array): Uint8Array {
    if (this.#closed) return bytes.subarray(bytes.length);
    this.#hasRoom = false;
    return bytes.subarray(this.#events?.input(bytes) ?? 0);
  }

  async #passLater(bytes: Uint8Array): Promise<void> {
    let rest = bytes;
    while (rest.length > 0) {
      // `resume` may have come from within `input`.
      if (!this.#hasRoom) await new Promise<void>((resolve) => this.#resumed = resolve);
      rest = this.#dropping ? rest.subarray(rest.length) : this.#pass(rest);
    }
    this.#dropping = false;
  }
}
