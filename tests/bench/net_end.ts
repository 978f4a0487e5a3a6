/**
 * The host's end of a card's cable, in the benchmark's own hands: frames in, frames out.
 *
 * @module
 */
import type { NetBackend, NetEvents, NetOffloads } from "../../host/backends/types.ts";

export class NetEnd implements NetBackend {
  readonly name = "benchmark";
  readonly mac = Uint8Array.of(0x02, 0, 0, 0, 0, 0x01);
  readonly mtu = 1500;
  readonly offloads: NetOffloads = { checksum: false, segmentation: false };
  /** Gets every frame from the card, its header first; valid only during the call. */
  onFrame: (frame: Uint8Array) => void = () => {};
  #events: NetEvents | undefined;

  /** Gives a frame to the card, header first. */
  give(frame: Uint8Array): void {
    this.#events!.receive(frame);
    this.#events!.received();
  }

  send(frame: Uint8Array): boolean {
    this.onFrame(frame);
    return true;
  }

  open(events: NetEvents): void {
    this.#events = events;
    queueMicrotask(() => events.link(true));
  }

  resume(): void {}

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
