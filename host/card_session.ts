/**
 * One session with one card process: its host driver, and what the host does with it by policy.
 *
 *     probe ─┬─> boot ─┬─> wait until the card OS stops ─> reset ─┬─> boot again, if it wanted a restart
 *            └─────────┘ it runs already: adopted                 └─> leave it ready
 *
 * - **Invariant:** when `end()` has resolved, no device is plugged in and nothing of the session is mapped.
 *
 * @module
 */
import { type Link, LinkError, ProtocolError, type ShutdownReason } from "../protocol/mod.ts";
import type { Absence } from "./absence.ts";
import type { AttachedDevice } from "./driver/attached_device.ts";
import type { BootImages } from "./driver/boot_image.ts";
import type { CardEvent } from "./driver/events.ts";
import { HostDriver } from "./driver/host_driver.ts";
import type { RootPort } from "./driver/root_port.ts";

/** What a session reports; synchronous, must not throw. */
export interface CardSessionEvents {
  card(event: CardEvent): void;
  /** The card OS stopped and is not started again by policy; the card is `ready`. */
  stopped(reason: ShutdownReason): void;
  /** The card cannot be used, or cannot boot. The session stays: somebody may reset or boot it by hand. */
  failed(error: Error): void;
}

export interface CardSessionOptions {
  readonly link: Link;
  readonly rootPort: RootPort;
  /** Sees what the link says. */
  readonly absence: Absence;
  /** 32 hexadecimal digits. */
  readonly identity: string;
  readonly devices: readonly AttachedDevice[];
  /** Without images the card is left `ready`. */
  readonly images?: BootImages | undefined;
  readonly events: CardSessionEvents;
}

export class CardSession {
  readonly driver: HostDriver;
  readonly #options: CardSessionOptions;
  readonly #ended = Promise.withResolvers<void>();
  #ending = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: CardSessionOptions) {
    this.#options = options;
    const { link, rootPort, devices, events } = options;
    this.driver = HostDriver.attach({
      requester: link,
      rootPort,
      devices,
      reachable: () => link.state === "up",
      onEvent: (event) => events.card(event),
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
    const { link, images, events } = this.#options;
    try {
      await before;
      await this.driver.probe({ adopt: true });
      if (images) await this.#serve(images);
    } catch (error) {
      // The link says itself that it is closed.
      if (this.#ending || error instanceof LinkError) return;
      if (error instanceof ProtocolError) link.fail(error);
      events.failed(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #serve(images: BootImages): Promise<void> {
    const { driver } = this;
    while (true) {
      if (driver.state === "ready") await driver.boot(images);
      const { reason, asked } = await driver.waitForStop();
      if (driver.state === "shutting_down") await driver.reset();
      else await driver.waitFor(["ready", "reset_failed"]);
      if (reason !== "restart" || asked) return this.#options.events.stopped(reason);
    }
  }
}
