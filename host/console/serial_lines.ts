/**
 * What a card's first serial port says, among what its console shows: as on a machine with one terminal, on which the
 * kernel writes too, but line by line.
 *
 * - A serial line is shown when it is whole, in one piece; one that is not ended within a second, or is longer than
 *   1 KiB, counts as a line.
 * - It goes between two lines of the console. Where the console stands within a line, it waits for the end of that; on a
 *   console that is quiet, at a prompt or while somebody thinks, or after a second, the line is broken for it. What was
 *   typed is the card's, and stays.
 *
 * Each byte is shown once, whoever wrote it; but for the ends of lines, which are a terminal's here, and their marks where
 * bytes are missing.
 *
 * - **Invariant:** no more is held than one unfinished line and what `add` was given since it last resolved.
 *
 * @module
 */
const NEWLINE = 10;
const RETURN = 13;
const CRLF = [RETURN, NEWLINE];
/** Bytes. */
const LINE_MAX = 1024;
/** An unfinished line is waited for so long, ms. */
const LINE_PATIENCE = 1000;
/** A console that wrote nothing for this time stands still, ms. */
const QUIET = 100;
/** A console that writes is waited for so long, ms. */
const GAP_PATIENCE = 1000;

export class SerialLines implements Disposable {
  readonly #show: (bytes: Uint8Array) => void | Promise<void>;
  readonly #line = new Uint8Array(LINE_MAX);
  #length = 0;
  /** The beginning of that line was shown as a line. */
  #cut = false;
  #lineTimer: ReturnType<typeof setTimeout> | undefined;
  /** Where the console stands. */
  #midLine = false;
  #lastOutput = -Infinity;
  /** Whole lines that wait for the end of a line. */
  #waiting: number[] = [];
  #shown: PromiseWithResolvers<void> | undefined;
  #gapTimer: ReturnType<typeof setTimeout> | undefined;

  /** `show` is given whole lines; it copies them. */
  constructor(show: (bytes: Uint8Array) => void | Promise<void>) {
    this.#show = show;
  }

  /** Serial output, before which `lost` bytes are missing; copied. Resolves when it is shown, and there is room for more. */
  add(bytes: Uint8Array, lost: number): void | Promise<void> {
    const lines: number[] = [];
    if (lost > 0) {
      this.#endLine(lines);
      const mark = `[knightsbridge: ${lost} bytes of the serial port lost]`;
      lines.push(...new TextEncoder().encode(mark), ...CRLF);
    }
    for (const byte of bytes) {
      if (byte === NEWLINE) this.#newline(lines);
      else this.#line[this.#length++] = byte;
      if (this.#length === LINE_MAX) this.#endLine(lines);
    }
    clearTimeout(this.#lineTimer);
    if (this.#length > 0) {
      this.#lineTimer = setTimeout(() => this.#lineIsLate(), LINE_PATIENCE);
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

  /** Shows what waits, and a line that is not ended, now. */
  flush(): void {
    const lines: number[] = [];
    this.#endLine(lines);
    this.#waiting.push(...lines);
    this.#showWaiting();
  }

  /** Shows nothing more. */
  [Symbol.dispose](): void {
    clearTimeout(this.#lineTimer);
    const shown = this.#shown;
    this.#takeWaiting();
    shown?.resolve();
  }

  /** Of a line that was cut the end may be nothing, and is no empty line. */
  #newline(lines: number[]): void {
    if (this.#line[this.#length - 1] === RETURN) this.#length--;
    if (this.#length > 0) this.#endLine(lines);
    else if (!this.#cut) lines.push(...CRLF);
    this.#cut = false;
  }

  #endLine(lines: number[]): void {
    clearTimeout(this.#lineTimer);
    if (this.#length === 0) return;
    lines.push(...this.#line.subarray(0, this.#length), ...CRLF);
    this.#length = 0;
    this.#cut = true;
  }

  #lineIsLate(): void {
    const lines: number[] = [];
    this.#endLine(lines);
    void this.#put(lines);
  }

  #put(lines: number[]): void | Promise<void> {
    if (lines.length === 0) return;
    if (this.#waiting.length === 0 && this.#mayBreakIn) return this.#show(this.#broken(lines));
    this.#waiting.push(...lines);
    this.#shown ??= Promise.withResolvers();
    if (this.#gapTimer === undefined) this.#awaitGap(performance.now() + GAP_PATIENCE);
    return this.#shown.promise;
  }

  get #mayBreakIn(): boolean {
    return !this.#midLine || performance.now() - this.#lastOutput >= QUIET;
  }

  #awaitGap(until: number): void {
    this.#gapTimer = setTimeout(() => {
      if (this.#mayBreakIn || performance.now() >= until) this.#showWaiting();
      else this.#awaitGap(until);
    }, QUIET);
  }

  #showWaiting(): void {
    const shown = this.#shown;
    const lines = this.#takeWaiting();
    const done = lines.length > 0 ? this.#show(this.#broken(lines)) : undefined;
    shown?.resolve(done);
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
    clearTimeout(this.#gapTimer);
    this.#gapTimer = undefined;
    this.#shown = undefined;
    return lines;
  }
}
