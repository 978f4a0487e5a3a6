/**
 * Console backend that appends the card's output to a file; there is no input.
 *
 * Needs `--allow-write` of the file.
 *
 * @module
 */
import { BackendError } from "../../protocol/mod.ts";
import type { ConsoleBackend } from "./types.ts";

/** A log file. */
export class LogBackend implements ConsoleBackend {
  readonly name: string;
  readonly size = undefined;
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #report: ((error: BackendError) => void) | undefined;
  #broken = false;
  #closed = false;

  private constructor(path: string, file: Deno.FsFile, report?: (error: BackendError) => void) {
    this.name = `log:${path}`;
    this.#path = path;
    this.#file = file;
    this.#report = report;
  }

  /**
   * Opens or makes the file at `path`. `report` is called once if writing fails later; output is lost from then on, for
   * a full disk of the host must not stop the card.
   *
   * @throws {BackendError}
   */
  static open(path: string, report?: (error: BackendError) => void): LogBackend {
    try {
      const file = Deno.openSync(path, { append: true, create: true });
      return new LogBackend(path, file, report);
    } catch (cause) {
      throw new BackendError(`Cannot open log file ${path}: ${messageOf(cause)}`, { cause });
    }
  }

  write(bytes: Uint8Array): void {
    if (this.#broken || this.#closed) return;
    try {
      for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    } catch (cause) {
      this.#broken = true;
      this.#report?.(
        new BackendError(`Cannot write log file ${this.#path}: ${messageOf(cause)}`, { cause }),
      );
    }
  }

  open(): void {}

  resume(): void {}

  [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) this.#file.close();
    this.#closed = true;
    return Promise.resolve();
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
