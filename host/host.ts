/**
 * A host: listens for its card, and serves one card process after the other with the same devices.
 *
 * A lost connection is the link's affair: the card resumes its session, and nothing here hears of it. A card that asks
 * for a *new* session is a new process. It is served if the one before is gone (its link closed or down) or is the same
 * card come again; else it is told goodbye `busy`, and tries again by itself.
 *
 * @module
 */
import {
  type Acceptance,
  type GoodbyeReason,
  type Greeting,
  type Link,
  type LinkLimits,
  LinkServer,
  type LinkStatus,
  page,
  pause,
  type ShutdownReason,
  type TcpListener,
} from "../protocol/mod.ts";
import { CardSession } from "./card_session.ts";
import { AttachedDevice } from "./driver/attached_device.ts";
import type { BootImages } from "./driver/boot_image.ts";
import { Condition } from "./driver/condition.ts";
import type { CardEvent } from "./driver/events.ts";
import type { HostDriver } from "./driver/host_driver.ts";
import { RootPort } from "./driver/root_port.ts";
import type { VirtioDevice } from "./driver/virtio_device.ts";

/** What happens at a host, for people, logs and metrics. */
export type HostEvent =
  /** A card process has a new session; `identity` is 32 hexadecimal digits. */
  | { readonly type: "connected"; readonly peer: string; readonly identity: string }
  | { readonly type: "link"; readonly status: LinkStatus }
  | { readonly type: "card"; readonly event: CardEvent }
  /** The card OS stopped; the card waits, `ready`. */
  | { readonly type: "stopped"; readonly reason: ShutdownReason }
  /** The card cannot be used, or cannot boot. */
  | { readonly type: "failed"; readonly error: Error }
  /** A peer was turned away. */
  | {
    readonly type: "refused";
    readonly peer: string;
    readonly reason: GoodbyeReason;
    readonly text: string;
  }
  /** A connection could not be accepted; the host goes on listening. */
  | { readonly type: "accept_failed"; readonly error: Error };

export interface HostOptions {
  /** Owned from now on. */
  readonly listener: TcpListener;
  /** By slot. They stay the caller's, and outlive the host. */
  readonly devices: readonly VirtioDevice[];
  /** Booted on every card that comes; without them a card is left `ready`. */
  readonly images?: BootImages | undefined;
  /** 16 bytes by which cards know this host again; random by default. */
  readonly identity?: Uint8Array;
  /** Number of this host process; random by default. */
  readonly epoch?: bigint;
  readonly limits?: Partial<LinkLimits>;
  /** Called synchronously; must not throw. */
  readonly onEvent?: (event: HostEvent) => void;
}

/** Time before accepting is tried again after it failed, ms. */
const ACCEPT_DELAY = 1000;

export class Host implements AsyncDisposable {
  readonly #options: HostOptions;
  readonly #devices: readonly AttachedDevice[];
  readonly #server: LinkServer;
  readonly #accepting: Promise<void>;
  readonly #stop = new AbortController();
  readonly #changed = new Condition();
  #session: CardSession | undefined;
  /** Root port of the session that was just accepted. */
  #rootPort = new RootPort();

  /** Listens at once. @throws {RangeError} for more devices than a card has slots: not when the first card comes */
  constructor(options: HostOptions) {
    if (options.devices.length > page.SLOTS) {
      throw new RangeError(
        `Cannot lend a card ${options.devices.length} devices: it has ${page.SLOTS} slots`,
      );
    }
    this.#options = options;
    this.#devices = options.devices.map((device) => new AttachedDevice(device));
    const { limits } = options;
    this.#server = new LinkServer({
      epoch: options.epoch ?? crypto.getRandomValues(new BigUint64Array(1))[0]!,
      identity: options.identity ?? crypto.getRandomValues(new Uint8Array(16)),
      ...(limits && { limits }),
      accept: (greeting, peer) => this.#accept(greeting, peer),
      onLink: (link, greeting) => this.#opened(link, greeting),
      onRefused: (peer, reason, text) => this.#emit({ type: "refused", peer, reason, text }),
    });
    this.#accepting = this.#acceptAll();
  }

  /** Where it listens. */
  get address(): { readonly hostname: string; readonly port: number } {
    const { hostname, port } = this.#options.listener;
    return { hostname, port };
  }

  /** The card that is there now. */
  get card(): HostDriver | undefined {
    return this.#session?.ending === false ? this.#session.driver : undefined;
  }

  /** The card's connection is there; false too while its session waits to be resumed. */
  get linkUp(): boolean {
    return this.card !== undefined && this.#session?.link.state === "up";
  }

  /** Resolves with the card as soon as there is one; it may not be probed yet. */
  waitForCard(signal?: AbortSignal): Promise<HostDriver> {
    const signals = signal ? [this.#stop.signal, signal] : [this.#stop.signal];
    return this.#changed.until(() => this.card, { signal: AbortSignal.any(signals) });
  }

  /** Leaves the card as it is, pulls the devices and says goodbye. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException("The host was stopped", "AbortError"));
    this.#options.listener.close();
    await this.#session?.end();
    await this.#server[Symbol.asyncDispose]();
    await this.#accepting;
  }

  async #acceptAll(): Promise<void> {
    const { listener } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const transport = await listener.accept();
        if (transport === undefined) return;
        void this.#server.serve(transport);
      } catch (error) {
        this.#emit({ type: "accept_failed", error: error as Error });
        await pause(ACCEPT_DELAY, signal);
      }
    }
  }

  #accept(greeting: Greeting, peer: string): Acceptance {
    const current = this.#session;
    if (current && !current.ending && isAlive(current.link)) {
      if (current.identity !== greeting.identity.toHex()) {
        return { refuse: "busy", text: "Cannot serve card: another one is connected" };
      }
    }
    this.#emit({ type: "connected", peer, identity: greeting.identity.toHex() });
    this.#rootPort = new RootPort();
    return {
      completer: this.#rootPort,
      onStatus: (status) => this.#emit({ type: "link", status }),
    };
  }

  #opened(link: Link, greeting: Greeting): void {
    const previous = this.#session;
    const session = this.#session = new CardSession({
      link,
      rootPort: this.#rootPort,
      identity: greeting.identity.toHex(),
      devices: this.#devices,
      images: this.#options.images,
      events: {
        card: (event) => this.#emit({ type: "card", event }),
        stopped: (reason) => this.#emit({ type: "stopped", reason }),
        failed: (error) => this.#emit({ type: "failed", error }),
      },
    });
    // What is left of the card before: its process is gone, or the new one would not have been accepted.
    void previous?.link.close("busy", "Cannot go on: a new session took the place of this one");
    session.start(previous?.end() ?? Promise.resolve());
    this.#changed.notify();
  }

  #emit(event: HostEvent): void {
    this.#options.onEvent?.(event);
  }
}

/** Somebody is at the other end, or about to be. */
function isAlive(link: Link): boolean {
  return link.state === "up" || link.state === "greeting";
}

/** Runs a host until `signal` is aborted. */
export async function runHost(
  options: HostOptions & { readonly signal: AbortSignal },
): Promise<void> {
  const { signal } = options;
  await using _host = new Host(options);
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
