/**
 * The endpoint as a requester: every memory request of the card passes here.
 *
 * It keeps the bus master bit of the command register, and it is the one place that knows which link is the current
 * one: drivers hold this object for good while links come and go behind it.
 *
 * - **Spec:** PCI Local Bus 3.0 §6.2.2 (bit 2); PCI Express Base §7.5.1.1: the bit stops memory requests (MSI among
 *   them, which `interrupts.ts` sees to) and no other messages.
 * - **Invariant:** what is written while the bit is off is dropped and counted, never sent later.
 *
 * @module
 */
import {
  LinkError,
  type MessageCode,
  type Requester,
  type Span,
  UnsupportedRequest,
  type Width,
} from "../../protocol/mod.ts";

/** A payload limit for the time without a link: the smallest that links may agree on. */
const MIN_PAYLOAD = 4096;

export class BusMaster implements Requester {
  /** The command register's bus master bit, off in D3hot. */
  enabled = false;
  /** Memory writes that were dropped because the card was not bus master, or had no link. */
  dropped = 0;
  #link: Requester | undefined;
  /** Who waits for room, the longest first; for each, one callback waits at the link. */
  readonly #waiting: (() => void)[] = [];

  /** Sends by `link` from now on. */
  setRequester(link: Requester): void {
    this.#link = link;
    for (let count = this.#waiting.length; count > 0; count--) this.#watch(link);
  }

  get maxPayload(): number {
    return this.#link?.maxPayload ?? MIN_PAYLOAD;
  }

  postWrite(address: number, bytes: Uint8Array): void {
    if (this.enabled && this.#link !== undefined) this.#link.postWrite(address, bytes);
    else this.dropped++;
  }

  openWrite(spans: readonly Span[]): Uint8Array {
    if (this.enabled && this.#link !== undefined) return this.#link.openWrite(spans);
    this.dropped++;
    return new Uint8Array(spans.reduce((sum, span) => sum + span.length, 0));
  }

  message(code: MessageCode, a: number, b = 0): void {
    this.#link?.message(code, a, b);
  }

  memoryRead(address: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    if (!this.enabled) {
      return Promise.reject(new UnsupportedRequest("Cannot read host memory: not bus master"));
    }
    return this.#linked((link) => link.memoryRead(address, length, signal));
  }

  configRead(register: number, width: Width, signal?: AbortSignal): Promise<number> {
    return this.#linked((link) => link.configRead(register, width, signal));
  }

  configWrite(register: number, width: Width, value: number, signal?: AbortSignal): Promise<void> {
    return this.#linked((link) => link.configWrite(register, width, value, signal));
  }

  ioRead(port: number, width: Width, signal?: AbortSignal): Promise<number> {
    return this.#linked((link) => link.ioRead(port, width, signal));
  }

  ioWrite(port: number, width: Width, value: number, signal?: AbortSignal): Promise<void> {
    return this.#linked((link) => link.ioWrite(port, width, value, signal));
  }

  flush(): void {
    this.#link?.flush();
  }

  get writable(): boolean {
    return this.#link?.writable ?? false;
  }

  onWritable(resume: () => void): void {
    this.#waiting.push(resume);
    if (this.#link !== undefined) this.#watch(this.#link);
  }

  /** A callback that comes from a link of before is of no interest. */
  #watch(link: Requester): void {
    link.onWritable(() => {
      if (link === this.#link) this.#waiting.shift()?.();
    });
  }

  #linked<T>(request: (link: Requester) => Promise<T>): Promise<T> {
    if (this.#link === undefined) {
      return Promise.reject(new LinkError("Cannot reach host: no link"));
    }
    return request(this.#link);
  }
}
