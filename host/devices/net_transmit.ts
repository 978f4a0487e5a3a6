/**
 * Frames from the driver to the backend, in order (virtio 1.3 §5.1.6.2).
 *
 * The pushed bytes of a chain are header and frame in one piece: they go to the backend as they are. A backend that is
 * full stops the queue until it says `writable`. A frame whose header lies is not sent; it is given back and counted.
 *
 * @module
 */
import { viewOf, virtioNet } from "../../protocol/mod.ts";
import type { DescriptorChain, DeviceQueue, DeviceSession } from "../driver/virtio_device.ts";
import { ChainPump } from "./chain_pump.ts";
import { acceptHeader } from "./net_header.ts";

/** Longest header and frame: what is worth pushing, and all that is worth fetching. */
export const MAX_TRANSMIT: number = virtioNet.HEADER.size + virtioNet.MAX_FRAME;

export class NetTransmit {
  readonly #session: DeviceSession;
  readonly #queue: DeviceQueue;
  readonly #send: (frame: Uint8Array) => boolean;
  readonly #pump: ChainPump;
  /** The frame of the chain that the pump holds, once it was fetched. */
  #fetched: Uint8Array | undefined;
  #fetching = false;
  /** Frames that were not sent because their header was wrong. */
  refused = 0;

  /** `send` is a backend's. */
  constructor(session: DeviceSession, queue: DeviceQueue, send: (frame: Uint8Array) => boolean) {
    this.#session = session;
    this.#queue = queue;
    this.#send = send;
    this.#pump = new ChainPump(session, queue, (chain) => this.#take(chain));
  }

  kick(): void {
    this.#pump.kick();
  }

  /** The backend has room again. */
  writable(): void {
    if (!this.#fetching) this.#pump.resume();
  }

  stop(): void {
    this.#pump.stop();
  }

  #take(chain: DescriptorChain): boolean {
    const { pushed, readableLength } = chain;
    const frame = this.#fetched ?? (pushed.length === readableLength ? pushed : undefined);
    if (frame === undefined && readableLength <= MAX_TRANSMIT) {
      const bytes = this.#queue.fetch(chain, this.#session.signal);
      if (!(bytes instanceof Uint8Array)) return this.#await(bytes);
      this.#fetched = bytes;
      return this.#take(chain);
    }
    if (frame === undefined || !acceptHeader(viewOf(frame), this.#session.features)) this.refused++;
    else if (!this.#send(frame)) return false;
    this.#fetched = undefined;
    this.#pump.give(chain, 0);
    return true;
  }

  /** Frames keep their order: the next one waits until this one is here. */
  #await(bytes: Promise<Uint8Array>): false {
    this.#fetching = true;
    bytes.then((frame) => {
      this.#fetching = false;
      this.#fetched = frame;
      this.#pump.resume();
    }, (cause) => {
      if (!this.#session.signal.aborted) this.#pump.fail(cause);
    });
    return false;
  }
}
