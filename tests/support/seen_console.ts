/**
 * A viewer of a console for tests: remembers all it was shown and told, and types.
 *
 * @module
 */
import type { ConsoleBackend, ConsoleEvents } from "../../host/backends/types.ts";

export class SeenConsole implements ConsoleBackend {
  readonly name: string;
  size: { columns: number; rows: number } | undefined;
  text = "";
  readonly notices: string[] = [];
  resumes = 0;
  closed = false;
  isPaced = true;
  isOpen = false;
  /** While set, `write` returns it if the card waits for this one. */
  slow: Promise<void> | undefined;
  #events: ConsoleEvents | undefined;

  constructor(name: string, size?: { columns: number; rows: number }) {
    this.name = name;
    this.size = size;
  }

  write(bytes: Uint8Array): void | Promise<void> {
    this.text += new TextDecoder().decode(bytes);
    if (this.isPaced) return this.slow;
  }
  open(events: ConsoleEvents): void {
    this.#events = events;
  }
  resume(): void {
    this.resumes++;
  }
  opened(open: boolean): void {
    this.isOpen = open;
  }
  paced(on: boolean): void {
    this.isPaced = on;
  }
  notice(text: string): void {
    this.notices.push(text);
  }
  /** How many bytes of it were taken. */
  type(text: string): number {
    return this.#events!.input(new TextEncoder().encode(text));
  }
  resize(columns: number, rows: number): void {
    this.size = { columns, rows };
    this.#events!.resized(columns, rows);
  }
  [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}
