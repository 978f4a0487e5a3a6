/**
 * Counts and times the requests of a queue: by kind, how many, their bytes, how they ended and how long they took.
 *
 * A request is known by the head of its chain, of which a queue has each once. Everything is numbers in arrays made with
 * the device: a request costs two looks at the clock and allocates nothing.
 *
 * @module
 */
import type { RequestTotals } from "../driver/virtio_device.ts";

/** Upper bounds of the latency buckets, seconds; above the last there is one more. */
export const LATENCY_BOUNDS: readonly number[] = [
  0.00005,
  0.0001,
  0.00025,
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  10,
];

const BUCKETS = LATENCY_BOUNDS.length + 1;
const BOUNDS_MS = Float64Array.from(LATENCY_BOUNDS, (bound) => bound * 1000);

export type Outcome = "ok" | "failed" | "unsupported";

export class RequestMeter<K extends string> {
  readonly #kinds: readonly K[];
  /** By head: when it was taken, ms; and its kind's number. */
  readonly #begun: Float64Array;
  readonly #kind: Uint8Array;
  /** By kind's number. */
  readonly #bytes: Float64Array;
  readonly #time: Float64Array;
  readonly #failed: Float64Array;
  readonly #unsupported: Float64Array;
  /** `BUCKETS` of each kind. */
  readonly #buckets: Float64Array;

  /** `size`: more than the largest head. What is not told its kind is of the last one. */
  constructor(kinds: readonly K[], size: number) {
    this.#kinds = kinds;
    this.#begun = new Float64Array(size);
    this.#kind = new Uint8Array(size);
    this.#bytes = new Float64Array(kinds.length);
    this.#time = new Float64Array(kinds.length);
    this.#failed = new Float64Array(kinds.length);
    this.#unsupported = new Float64Array(kinds.length);
    this.#buckets = new Float64Array(kinds.length * BUCKETS);
  }

  /** A request was taken from the queue. */
  begin(head: number): void {
    this.#begun[head] = performance.now();
    this.#kind[head] = this.#kinds.length - 1;
  }

  /** `kind` is its number in the list. */
  is(head: number, kind: number): void {
    this.#kind[head] = kind;
  }

  /** It is given back; `bytes` count if it went well. */
  end(head: number, outcome: Outcome, bytes: number): void {
    const kind = this.#kind[head]!;
    const time = performance.now() - this.#begun[head]!;
    let bucket = 0;
    while (bucket < BOUNDS_MS.length && time > BOUNDS_MS[bucket]!) bucket++;
    this.#buckets[kind * BUCKETS + bucket]!++;
    this.#time[kind]! += time;
    if (outcome === "ok") this.#bytes[kind]! += bytes;
    else if (outcome === "failed") this.#failed[kind]!++;
    else this.#unsupported[kind]!++;
  }

  /** By kind; those of which there was none yet are not in it. */
  totals(): Partial<Record<K, RequestTotals>> {
    const totals: Partial<Record<K, RequestTotals>> = {};
    this.#kinds.forEach((name, kind) => {
      const buckets = [...this.#buckets.subarray(kind * BUCKETS, (kind + 1) * BUCKETS)];
      const requests = buckets.reduce((sum, count) => sum + count, 0);
      if (requests === 0) return;
      totals[name] = {
        requests,
        bytes: this.#bytes[kind]!,
        seconds: this.#time[kind]! / 1000,
        buckets,
        failed: this.#failed[kind]!,
        unsupported: this.#unsupported[kind]!,
      };
    });
    return totals;
  }
}
