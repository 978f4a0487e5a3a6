/**
 * A started device: its queues, from DRIVER_OK to reset.
 *
 * @module
 */
import type { Requester } from "../../protocol/mod.ts";
import type { MirrorQueue } from "./device_queue.ts";
import type { DeviceSession } from "./virtio_device.ts";

export interface SessionOptions {
  readonly features: bigint;
  readonly queues: readonly (MirrorQueue | undefined)[];
  readonly adopted: boolean;
  readonly requester: Requester;
  /** The device cannot go on. Called at most once, and not after the end. */
  readonly onFail: (error: unknown) => void;
}

export class Session implements DeviceSession {
  readonly features: bigint;
  readonly queues: readonly (MirrorQueue | undefined)[];
  readonly adopted: boolean;
  readonly #options: SessionOptions;
  readonly #ended = new AbortController();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.features = options.features;
    this.queues = options.queues;
    this.adopted = options.adopted;
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  get writable(): boolean {
    return this.#options.requester.writable;
  }

  onWritable(resume: () => void): void {
    this.#options.requester.onWritable(() => {
      if (!this.signal.aborted) resume();
    }, this.signal);
  }

  flush(): void {
    this.#options.requester.flush();
  }

  fail(error: unknown): void {
    if (this.signal.aborted) return;
    this.end();
    this.#options.onFail(error);
  }

  /** Every further call on the queues does nothing, and what the device waits for ends. */
  end(): void {
    if (this.signal.aborted) return;
    for (const queue of this.queues) queue?.stop();
    this.#ended.abort(new DOMException("The device was reset", "AbortError"));
  }
}
