/**
 * A Requester that sends nothing and remembers everything, for tests of the card: posted writes and messages in their
 * order, and a link that takes no more when the test says so.
 *
 * @module
 */
import { MESSAGE, type MessageCode, type Requester, type Span } from "../../protocol/mod.ts";

/** What was posted. */
export type Posted =
  | { readonly write: number; readonly bytes: Uint8Array }
  | { readonly message: MessageCode; readonly a: number; readonly b: number };

export class RecordingRequester implements Requester {
  readonly maxPayload = 128 * 1024;
  posted: Posted[] = [];
  #writable = true;
  #resume: (() => void)[] = [];

  /** MSI vectors sent so far, oldest first. */
  get interrupts(): number[] {
    return this.messages(MESSAGE.msi).map(([vector]) => vector!);
  }

  /** Arguments of all messages with `code`. */
  messages(code: MessageCode): number[][] {
    return this.posted.flatMap((p) => "message" in p && p.message === code ? [[p.a, p.b]] : []);
  }

  /** Bytes of all writes, laid over `image`, which begins at bus address `base`. */
  applyTo(image: Uint8Array, base: number): void {
    for (const p of this.posted) if ("write" in p) image.set(p.bytes, p.write - base);
  }

  forget(): void {
    this.posted = [];
  }

  postWrite(address: number, bytes: Uint8Array): void {
    this.posted.push({ write: address, bytes: bytes.slice() });
  }

  /** The bytes are the caller's to fill until it lets the event loop turn. */
  openWrite(spans: readonly Span[]): Uint8Array {
    const place = new Uint8Array(spans.reduce((sum, span) => sum + span.length, 0));
    let at = 0;
    for (const { address, length } of spans) {
      this.posted.push({ write: address, bytes: place.subarray(at, at + length) });
      at += length;
    }
    return place;
  }

  message(code: MessageCode, a: number, b = 0): void {
    this.posted.push({ message: code, a, b });
  }

  get writable(): boolean {
    return this.#writable;
  }

  set writable(writable: boolean) {
    this.#writable = writable;
    if (writable) { for (const resume of this.#resume.splice(0)) resume(); }
  }

  onWritable(resume: () => void): void {
    this.#resume.push(resume);
  }

  memoryRead(): Promise<Uint8Array> {
    return Promise.reject(new Error("nobody answers"));
  }
  configRead(): Promise<number> {
    return Promise.reject(new Error("nobody answers"));
  }
  configWrite(): Promise<void> {
    return Promise.reject(new Error("nobody answers"));
  }
  ioRead(): Promise<number> {
    return Promise.reject(new Error("nobody answers"));
  }
  ioWrite(): Promise<void> {
    return Promise.reject(new Error("nobody answers"));
  }
  flush(): void {}
}
