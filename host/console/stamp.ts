/**
 * Lines of a console with the time of their first byte before them: RFC 3339, UTC, milliseconds.
 *
 *     2026-11-22T22:01:02.345Z [    0.000000] Linux version ...
 *
 * The carriage return of a line's end is left out; every other byte stays.
 *
 * @module
 */
const NEWLINE = 10;
const RETURN = 13;
/** A stamp and the space behind it, bytes. */
const STAMP = 25;

/** Remembers where in a line the last piece ended. */
export class LineStamper {
  #atStart = true;
  /** A carriage return that may be the end of a line. */
  #return = false;

  /** `bytes`, stamped with `time` (ms since 1970); a copy. */
  stamp(bytes: Uint8Array, time: number): Uint8Array<ArrayBuffer> {
    const stamp = new TextEncoder().encode(`${new Date(time).toISOString()} `);
    const lines = bytes.reduce((count, byte) => count + (byte === NEWLINE ? 1 : 0), 1);
    const stamped = new Uint8Array(bytes.length + 1 + lines * STAMP);
    let at = 0;
    const put = (byte: number) => {
      if (this.#atStart) stamped.set(stamp, at);
      if (this.#atStart) at += stamp.length;
      this.#atStart = false;
      stamped[at++] = byte;
    };
    for (const byte of bytes) {
      if (this.#return && byte !== NEWLINE) put(RETURN);
      this.#return = byte === RETURN;
      if (this.#return) continue;
      put(byte);
      this.#atStart = byte === NEWLINE;
    }
    return stamped.subarray(0, at);
  }

  /** What is still to be written of the line that is not ended: its end. A new one begins. */
  endLine(): Uint8Array<ArrayBuffer> {
    const end = this.#atStart ? 0 : 1;
    this.#atStart = true;
    this.#return = false;
    return new Uint8Array(end).fill(NEWLINE);
  }
}
