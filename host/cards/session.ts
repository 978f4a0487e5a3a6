/**
 * One session with one card process: its host driver, from the probe until nothing of the session is left.
 *
 * - **Invariant:** when `end()` has resolved, no device is plugged in and nothing of the session is mapped.
 *
 * @module
 */
import { type Link, LinkError, ProtocolError } from "../../protocol/mod.ts";
import type { Devices } from "../driver/boot.ts";
import type { CardEvent } from "../driver/events.ts";
import { HostDriver } from "../driver/host_driver.ts";
import type { RootPort } from "../driver/root_port.ts";
import type { SerialSink } from "../driver/serial_stream.ts";
import type { Absence } from "./absence.ts";

export interface CardSessionOptions {
  readonly link: Link;
  readonly rootPort: RootPort;
  /** Sees what the link says. */
  readonly absence: Absence;
  /** 32 hexadecimal digits. */
  readonly identity: string;
  /** Address of the card process. */
  readonly peer: string;
  /** By slot; the card may change them. */
  readonly devices: Devices;
  /** Synchronous, must not throw. */
  readonly onEvent: (event: CardEvent) => void;
  readonly serial: SerialSink | undefined;
  /** What is done with the card once it is probed, until its link ends; LinkError then is no news. */
  readonly serve: (driver: HostDriver) => Promise<void>;
  /** The card cannot be used. */
  readonly failed: (error: Error) => void;
}

export class CardSession {
  readonly driver: HostDriver;
  readonly #options: CardSessionOptions;
  readonly #ended = Promise.withResolvers<void>();
  #ending = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: CardSessionOptions) {
    this.#options = options;
    const { link, rootPort, devices, onEvent, serial } = options;
    this.driver = HostDriver.attach({
      requester: link,
      rootPort,
      devices,
      reachable: () => link.state === "up",
      onEvent,
      serial,
    });
    link.signal.addEventListener("abort", () => {
      this.driver.gone(link.signal.reason);
      void this.end();
    }, { once: true });
  }

  get link(): Link {
    return this.#options.link;
  }
  get identity(): string {
    return this.#options.identity;
  }
  get peer(): string {
    return this.#options.peer;
  }
  get absence(): Absence {
    return this.#options.absence;
  }
  get ending(): boolean {
    return this.#ending;
  }

  /** Begins once `before` has resolved: the devices may still be plugged into another card. */
  start(before: Promise<void>): void {
    this.#running = this.#run(before);
  }

  /** Pulls the devices; resolves when that is done. Never rejects, and does not close the link. */
  end(): Promise<void> {
    if (!this.#ending) {
      this.#ending = true;
      void this.#end();
    }
    return this.#ended.promise;
  }

  async #end(): Promise<void> {
    await this.driver[Symbol.asyncDispose]();
    await this.#running;
    this.#ended.resolve();
  }

  async #run(before: Promise<void>): Promise<void> {
    const { link, serve, failed } = this.#options;
    try {
      await before;
      await this.driver.probe({ adopt: true });
      await serve(this.driver);
    } catch (error) {
      // The link says itself that it is closed.
      if (this.#ending || error instanceof LinkError) return;
      if (error instanceof ProtocolError) link.fail(error);
      failed(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
