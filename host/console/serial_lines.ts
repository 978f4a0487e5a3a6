/**
 * What a card's first serial port says, among what its console shows: as on a machine with one terminal, on which the
 * kernel writes too, but line by line.
 *
 * A serial line goes between two lines of the console. Where the console stands within a line, it waits for the end of
 * that; on a console that is quiet, at a prompt or while somebody thinks, or after a second, the line is broken for it.
 * What was typed is the card's, and stays.
 *
 * Each byte is shown once, whoever wrote it; but for the ends of lines, which are a terminal's here, and the marks where
 * bytes are missing.
 *
 * - **Invariant:** no more is held than what `add` was given since it last resolved.
 *
 * @module
 */
const NEWLINE = 10;
const RETURN = 13;
const CRLF = [RETURN, NEWLINE];
/** A console that wrote nothing for this time stands still, ms. */
const QUIET = 100;
/** A console that writes is waited for so long, ms. */
const PATIENCE = 1000;

export class SerialLines implements Disposable {
  readonly #show: (bytes: Uint8Array) => void | Promise<void>;
  /** The serial port stands within a line, of which the beginning was shown as one. */
  #cut = false;
  /** The console stands within a line. */
  #midLine = false;
  #lastOutput = -Infinity;
  /** Lines that wait for the end of a line. */
  #waiting: number[] = [];
  #shown: PromiseWithResolvers<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `show` is given whole lines; it copies them. */
  constructor(show: (bytes: Uint8Array) => void | Promise<void>) {
    this.#show = show;
  }

  /**
   * Serial output, before which `lost` bytes are missing; a line that is not ended here is shown as one. Copied. Resolves
   * when it is shown, and there is room for more.
   */
  add(bytes: Uint8Array, lost: number): void | Promise<void> {
    const lines = lost > 0 ? [...encode(lostMark(lost)), ...CRLF] : [];
    for (let at = 0; at < bytes.length;) {
      const newline = bytes.indexOf(NEWLINE, at);
      const end = newline < 0 ? bytes.length : newline;
      const line = bytes.subarray(at, bytes[end - 1] === RETURN ? Math.max(at, end - 1) : end);
      // The end of a line that was cut is no empty line.
      if (line.length > 0 || !this.#cut) lines.push(...line, ...CRLF);
      this.#cut = newline < 0;
      at = end + 1;
    }
    return this.#put(lines);
  }

  /** Output of the console that is about to be shown; with serial lines behind its last line if some wait for that. */
  passing(output: Uint8Array): Uint8Array {
    if (output.length === 0) return output;
    this.#midLine = output.at(-1) !== NEWLINE;
    this.#lastOutput = performance.now();
    const end = output.lastIndexOf(NEWLINE) + 1;
    if (end === 0 || this.#waiting.length === 0) return output;
    const shown = this.#shown;
    const lines = this.#takeWaiting();
    shown?.resolve();
    const merged = new Uint8Array(output.length + lines.length);
    merged.set(output.subarray(0, end));
    merged.set(lines, end);
    merged.set(output.subarray(end), end + lines.length);
    return merged;
  }

  /** Shows what waits now. */
  flush(): void {
    const shown = this.#shown;
    const lines = this.#takeWaiting();
    shown?.resolve(lines.length > 0 ? this.#show(this.#broken(lines)) : undefined);
  }

  /** Shows nothing more. */
  [Symbol.dispose](): void {
    const shown = this.#shown;
    this.#takeWaiting();
    shown?.resolve();
  }

  #put(lines: number[]): void | Promise<void> {
    if (lines.length === 0) return;
    if (this.#waiting.length === 0 && this.#mayBreakIn) return this.#show(this.#broken(lines));
    this.#waiting.push(...lines);
    this.#shown ??= Promise.withResolvers();
    if (this.#timer === undefined) this.#awaitGap(performance.now() + PATIENCE);
    return this.#shown.promise;
  }

  get #mayBreakIn(): boolean {
    return !this.#midLine || performance.now() - this.#lastOutput >= QUIET;
  }

  #awaitGap(until: number): void {
    this.#timer = setTimeout(() => {
      if (this.#mayBreakIn || performance.now() >= until) this.flush();
      else this.#awaitGap(until);
    }, QUIET);
  }

  /** `lines` from the start of a line on. */
  #broken(lines: readonly number[]): Uint8Array {
    const midLine = this.#midLine;
    this.#midLine = false;
    return Uint8Array.from(midLine ? [...CRLF, ...lines] : lines);
  }

  /** Who waits for them is to be told. */
  #takeWaiting(): number[] {
    const lines = this.#waiting;
    this.#waiting = [];
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#shown = undefined;
    return lines;
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const lostMark = (count: number): string =>
  `[knightsbridge: ${count} bytes of the serial port lost]`;
