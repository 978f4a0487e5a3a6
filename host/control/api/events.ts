/**
 * What happens at a host, as server-sent events (WHATWG HTML §9.2), to any number of readers.
 *
 * A reader first gets the status of each card, then everything that happens. An event is written down once, however
 * many read it.
 *
 * - **Invariant:** what waits for a reader is at most {@linkcode BACKLOG} bytes. A reader that takes less than happens is
 *   dropped: its connection breaks, it connects again, and begins with how things are then.
 *
 * @module
 */
import type { ControlEvent, HostControl } from "../card_control.ts";

/** Bytes that may wait for one reader. */
export const BACKLOG = 256 * 1024;
/** Time without events after which readers hear that the host is there, ms. */
const HEARTBEAT = 15_000;
const encoder = new TextEncoder();

interface Reader {
  readonly card: string | undefined;
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
}

export class ControlEvents implements Disposable {
  readonly #host: HostControl;
  readonly #readers = new Set<Reader>();
  #unsubscribe: (() => void) | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #number = 0;

  constructor(host: HostControl) {
    this.#host = host;
  }

  /** How many read. */
  get readers(): number {
    return this.#readers.size;
  }

  /** The events of `card`, or of all, from now on: a body of type `text/event-stream`. */
  stream(card: string | undefined): ReadableStream<Uint8Array> {
    let reader: Reader;
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        reader = { card, controller };
        this.#add(reader);
      },
      cancel: () => this.#remove(reader),
    }, new ByteLengthQueuingStrategy({ highWaterMark: BACKLOG }));
  }

  /** Every reader's stream ends. */
  [Symbol.dispose](): void {
    for (const reader of this.#readers) {
      this.#remove(reader);
      reader.controller.close();
    }
  }

  #add(reader: Reader): void {
    this.#readers.add(reader);
    this.#unsubscribe ??= this.#host.subscribe((event) => this.#happened(event));
    this.#heartbeat ??= setInterval(() => this.#beat(), HEARTBEAT);
    // Also what makes the answer begin, where there is no card.
    this.#give(reader, encoder.encode(": knightsbridge\n\n"));
    for (const card of this.#host.cards.values()) {
      const event = { type: "card", card: card.name, status: card.status() } as const;
      if (concerns(event, reader)) this.#give(reader, this.#written(event));
    }
  }

  #remove(reader: Reader): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0) return;
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }

  #happened(event: ControlEvent): void {
    const bytes = this.#written(event);
    for (const reader of this.#readers) if (concerns(event, reader)) this.#give(reader, bytes);
  }

  #beat(): void {
    const bytes = encoder.encode(":\n\n");
    for (const reader of this.#readers) this.#give(reader, bytes);
  }

  #give(reader: Reader, bytes: Uint8Array): void {
    const { controller } = reader;
    if (bytes.length <= (controller.desiredSize ?? 0)) return controller.enqueue(bytes);
    this.#remove(reader);
    controller.error(new DOMException("The reader is too slow", "AbortError"));
  }

  #written(event: ControlEvent): Uint8Array {
    const id = ++this.#number;
    return encoder.encode(`id: ${id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  }
}

/** What is of no card is everybody's. */
const concerns = (event: ControlEvent, { card }: Reader): boolean =>
  card === undefined || event.card === undefined || event.card === card;
